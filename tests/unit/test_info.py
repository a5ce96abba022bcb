"""info is what is in use."""

import json

import numpy as np

import fastinit as fi
from fastinit._core import engine


def test_info_is_what_is_in_use_and_fits_into_json():
    found = fi.info()
    assert json.loads(json.dumps(found)) == found
    assert found["version"] == fi.__version__ and found["stream_version"] == fi.STREAM_VERSION == 1
    assert found["engine"] == engine.name() and found["isa"] == engine.isa() in found["isas"]
    assert found["threads"] >= 1 and found["numpy"] == np.__version__
