import sys

from vision_apps.__main__ import start

if __name__ == "__main__":
    sys.exit(start(["train", *sys.argv[1:]]))
