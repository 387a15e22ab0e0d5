"""Pictures as telephones and browsers save them."""

import base64
from pathlib import Path

import pytest
from PIL import Image

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.data import images
from vision_apps.data.images import header, read_image
from vision_apps.data.labels.folder import ImageFolder

# red on the left and blue on the right of 64 x 32 pixels, which Pillow itself does not write
HEIC = base64.b85decode(
    b"0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004fZDn*}000000000XXk=`10000000000aA{+700000000000000000000B"
    b"57=IV*mgE07O6l0RRC200001p#T8@00000002M$001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|zbZr0t00"
    b"0010002}X>f9I0002pX>en20001XXm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=Z"
    b"ZRVE_RDDnbDP18@KU0|1Z!00RI30{|YNAb|yz>g1-mxCm%4AOHXZ10VnZ0{|gn00967L;=Bbz=;3=025<xY;ta6Y<K_x01W^"
    b"JfB*mh6lrsCWdHyG00000KmY&$KmY&$C}V74Z~y=RKmY&$0RR91AOHXW0RR91000000{{R2-~a#s0ssI25O8UDX#fBK00RgJ"
    b"2mk;87-?{AVE_OC000000RRC7fdT^sga7~lNNr?cbN~PVJSYLLSmyNVzyISsfBwXzhs}5YU;kabSMUS#{<&RJOHgQ7jFHEK%"
    b")T_uo3#vJVltZa-pa&jz??q(tp"
)


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jpg"])
def test_heic_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEIC)
    pixels = read_image(tmp_path / name)
    assert header(tmp_path / name)[:2] == pixels.shape[-2:] == (32, 64)
    assert pixels[:, 16, 8].tolist() == pytest.approx([220, 30, 30], abs=8)
    assert pixels[:, 16, 56].tolist() == pytest.approx([30, 30, 220], abs=8)


def test_without_the_extra_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_heif", lambda: False)
    (tmp_path / "a.heic").write_bytes(HEIC)
    with pytest.raises(
        CorruptSample, match=r"a\.heic: HEIC is read with an extra: pip install 'vision-apps\[heic\]'"
    ):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(("name", "kind"), [("a.jfif", "JPEG"), ("a.jpe", "JPEG"), ("a.avif", "AVIF")])
def test_other_endings_are_pictures_too(tmp_path: Path, name: str, kind: str) -> None:
    Image.new("RGB", (20, 10), (200, 100, 50)).save(tmp_path / name, kind)
    assert read_image(tmp_path / name)[:, 5, 5].tolist() == pytest.approx([200, 100, 50], abs=6)


def classes(root: Path, *files: str) -> ImageFolder:
    for number, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path, "PNG")
    data = ImageFolder(str(root), image_size=8)
    data.batch_type = type("Batch", (), {"_fields": ("images", "labels")})
    return data


A, B = [f"a/{n}.png" for n in range(6)], [f"b/{n}.png" for n in range(6)]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            [f"inner/{name}" for name in (*A, *B)],
            r"one folder too many: .*root has only inner/, which itself has a/, b/: data\.root=.*inner",
        ),
        ([*A, "a/more/1.png"], r"root has a single class, a/, and nothing to tell it from"),
        (
            [*(f"train/{name}" for name in (*A, *B)), "test/1.png", "test/2.png"],
            r"test has pictures and no class folders, .* and test is drawn from train",
        ),
        (
            [f"Train/inner/{name}" for name in (*A, *B)],
            r"Train has only inner/.*: move them up by one folder",
        ),
    ],
)
def test_each_mistake_has_a_sentence_of_its_own(tmp_path: Path, files: list[str], text: str) -> None:
    with pytest.raises(DataError, match=text):
        classes(tmp_path / "root", *files).prepare_data()


def test_what_is_left_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = classes(tmp_path, *A, *B, "a/notes.psd", "a/b.raw", "loose.png")
    data.prepare_data()
    assert "left out 2 files that are no pictures (.psd 1, .raw 1)" in caplog.text.replace(
        ".raw 1, .psd 1", ".psd 1, .raw 1"
    )
    assert "left out 1 pictures that lie in" in caplog.text
    assert len(data.left_out) == 3
