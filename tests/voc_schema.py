"""A schema of PASCAL VOC's annotation files, and a reader by it that knows nothing of ours."""

from pathlib import Path
from typing import Any

import xmlschema

# The elements and their order are those of VOC 2007's development kit and of LabelImg; ``score`` is ours.
SCHEMA = xmlschema.XMLSchema(
    """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:simpleType name="flag"><xs:restriction base="xs:int">
    <xs:enumeration value="0"/><xs:enumeration value="1"/>
  </xs:restriction></xs:simpleType>
  <xs:element name="annotation"><xs:complexType><xs:sequence>
    <xs:element name="folder" type="xs:string" minOccurs="0"/>
    <xs:element name="filename" type="xs:string"/>
    <xs:element name="size"><xs:complexType><xs:sequence>
      <xs:element name="width" type="xs:positiveInteger"/>
      <xs:element name="height" type="xs:positiveInteger"/>
      <xs:element name="depth" type="xs:positiveInteger"/>
    </xs:sequence></xs:complexType></xs:element>
    <xs:element name="segmented" type="flag"/>
    <xs:element name="object" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>
      <xs:element name="name" type="xs:string"/>
      <xs:element name="pose" type="xs:string"/>
      <xs:element name="truncated" type="flag"/>
      <xs:element name="difficult" type="flag"/>
      <xs:element name="score" type="xs:double" minOccurs="0"/>
      <xs:element name="bndbox"><xs:complexType><xs:sequence>
        <xs:element name="xmin" type="xs:double"/><xs:element name="ymin" type="xs:double"/>
        <xs:element name="xmax" type="xs:double"/><xs:element name="ymax" type="xs:double"/>
      </xs:sequence></xs:complexType></xs:element>
    </xs:sequence></xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
)


def read(file: Path) -> dict[str, Any]:
    """The file as nested values; an error where it does not keep to the schema."""
    content: Any = SCHEMA.decode(file)
    content["object"] = content.get("object") or []
    assert isinstance(content, dict)
    return content
