"""Seeds and names become keys by section 1 of the contract, and by nothing else."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

import fastinit as fi
from fastinit._core import stream as _stream


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1, np.uint64(5), np.int8(3), np.array(7)])
def test_seed_is_used_unchanged(seed):
    assert _stream.check_seed(seed) == int(seed)
    assert type(_stream.check_seed(seed)) is int


@pytest.mark.parametrize("seed", [-1, 2**64, np.int64(-1)])
def test_seed_out_of_range_is_a_value_error(seed):
    with pytest.raises(ValueError, match=r"seed .* is outside \[0, 2\*\*64\); give an integer"):
        _stream.check_seed(seed)


@pytest.mark.parametrize("seed", [True, np.True_, 1.0, "1", b"1", [1], np.float32(2)])
def test_seed_of_another_type_is_a_type_error(seed):
    with pytest.raises(TypeError, match="seed must be an integer, not"):
        _stream.check_seed(seed)


def test_no_seed_draws_a_new_one_each_time():
    seeds = {_stream.check_seed(None) for _ in range(64)} | {_stream.new_seed() for _ in range(64)}
    assert len(seeds) == 128
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert max(seeds) >= 2**60  # 64 bits are drawn, not 32


@pytest.mark.parametrize("name", ["", "a.weight", "été", "a\0b", "x" * 300, "日本"])
def test_name_is_hashed_as_its_utf8_bytes(name):
    expected = hashlib.blake2b(name.encode(), digest_size=8).digest()
    assert _stream.stream_id(name) == int.from_bytes(expected, "little")


def test_names_are_not_normalized():
    assert _stream.stream_id("été") != _stream.stream_id("e\u0301te\u0301")


def test_known_streams_do_not_change():
    assert _stream.stream_id("") == 0xB4B2797457A0A6E4
    assert _stream.stream_id("a.weight") == 0x3EE1ABDA4F629315
    assert _stream.stream_id("été") == 0xD8205061B72151BC
    assert _stream.stream_id(None) == 0
    assert _stream.stream_id(2**63) == 2**63
    assert _stream.stream_id(np.uint64(7)) == 7


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb"])
def test_lone_surrogate_is_a_value_error(name):
    with pytest.raises(ValueError, match="lone surrogate"):
        _stream.stream_id(name)


@pytest.mark.parametrize("name", [-1, 2**64])
def test_integer_name_out_of_range_is_a_value_error(name):
    with pytest.raises(ValueError, match=r"name .* is outside"):
        _stream.stream_id(name)


@pytest.mark.parametrize("name", [True, np.False_, 1.5, b"x", ("a",)])
def test_name_of_another_type_is_a_type_error(name):
    with pytest.raises(
        TypeError, match="name must be an integer.*give a str, an integer stream id"
    ):
        _stream.stream_id(name)


def test_planes_are_those_of_the_contract():
    assert (_stream.PLANE_VALUES, _stream.PLANE_SPARSE, _stream.PLANE_PROJECTION) == (0, 1, 2)
    assert _stream.STREAM_VERSION == 1


def test_hashing_loads_no_hashlib():
    code = (
        "import sys, numpy; before = set(sys.modules); from fastinit._core import stream; "
        "stream.stream_id('a');assert 'hashlib' not in set(sys.modules) - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_new_seeds_are_seeds_and_differ():
    seeds = {fi.new_seed() for _ in range(8)}
    assert len(seeds) == 8 and all(0 <= seed < 2**64 for seed in seeds)
    fi.normal(3, seed=max(seeds))
