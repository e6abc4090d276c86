"""`fidokit virtual serve`, after making the token if CREATE says how: one start, not two."""

import json
import os
import sys

from fidokit import api
from fidokit.cli.main import main

if "CREATE" in os.environ:
    api.create_virtual(sys.argv[1], **json.loads(os.environ["CREATE"]))
sys.argv[1:1] = ["virtual", "serve"]
sys.exit(main())
