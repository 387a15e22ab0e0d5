"""``python -m vision_apps`` is ``vision-apps``."""

import sys

from vision_apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
