from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some_numpy

from mapped import LINUX, resident
from mtrans import video
from mtrans.core.errors import CacheError, VideoError
from mtrans.core.records import Sample
from mtrans.core.settings import FrameSettings
from mtrans.data import shards
from mtrans.data.clips import Clip
from mtrans.data.content import ContentIndex
from mtrans.data.dataset import VideoSource
from mtrans.data.shards import ShardStore, ShardWriter
from mtrans.video.preprocess import PreprocessSettings
from mtrans.video.write import write_video

from ._cache_worker import encode, open_cache, samples_in
from .conftest import draw

WORKER = Path(__file__).with_name("_cache_worker.py")


def expected(cache, sample):
    pixels, times = VideoSource(cache.frames, cache.preprocess).get(sample)
    return encode(pixels), times


def must_not_encode(pixels):
    raise AssertionError("encoded again")


def settle(folder):
    """Sets the files' times back, so that hashes are remembered."""
    for path in folder.glob("*.mp4"):
        os.utime(path, (1e9, 1e9))


def copy_clips(clips, folder):
    shutil.copytree(clips, folder)
    settle(folder)
    return samples_in(folder)


def test_cached_features_are_exactly_those_of_the_video(tmp_path, clips):
    samples = samples_in(clips)
    twice = [*samples, Sample("again", samples[0].video, "another question?")]
    window = Sample("window", samples[0].video, "q?", start=0.5, end=1.5)
    cache = open_cache(tmp_path, feature_shape=(2, 3))
    estimate = cache.estimate([*twice, window])
    assert (estimate.clips, estimate.missing) == (7, 7)
    assert not list(tmp_path.rglob("*.bin"))  # estimating computes nothing
    calls = []
    report = cache.fill([*twice, window], encode, lambda *c: calls.append(c), batch_frames=8)
    assert (report.computed, report.reused, report.bad) == (7, 0, ())
    assert calls[-1] == (7, 7)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    for sample in [*twice, window]:
        features, times = cache.get(sample)
        wanted, when = expected(cache, sample)
        np.testing.assert_array_equal(features, wanted)
        np.testing.assert_array_equal(times, when)
        assert features.dtype == np.float32
        assert times.dtype == np.float64
        assert not features.flags.writeable
    stored = sum(entry.crc >= 0 for entry in cache.store.entries.values())
    assert stored == 7
    data = sum(int(np.prod(e.shape)) * 4 for e in cache.store.entries.values())
    assert data == estimate.bytes
    assert cache.fill(twice, must_not_encode).reused == 6
    assert open_cache(tmp_path).missing([*twice, window]) == []


def test_sixteen_bit_features_are_half_the_size_and_close(tmp_path, clips):
    samples = samples_in(clips)[:2]
    cache = open_cache(tmp_path, dtype="float16", feature_shape=(2, 3))
    exact = open_cache(tmp_path, feature_shape=(2, 3))
    assert cache.estimate(samples).bytes * 2 == exact.estimate(samples).bytes
    cache.fill(samples, encode)
    features, _ = cache.get(samples[1])
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, expected(cache, samples[1])[0], rtol=2e-3)
    with pytest.raises(CacheError, match="not finite as float16"):
        open_cache(tmp_path / "x", dtype="float16").fill(samples, lambda p: encode(p) + 1e6)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "b2"},
        {"frames": FrameSettings(count=3)},
        {"frames": FrameSettings(count=4, sampling="fps", fps=2.0)},
        {"preprocess": PreprocessSettings(height=16, width=24)},
        {"dtype": "float16"},
    ],
)
def test_another_way_to_make_features_has_other_features(tmp_path, clips, change):
    samples = samples_in(clips)[:1]
    open_cache(tmp_path).fill(samples, encode)
    other = open_cache(tmp_path, **change)
    assert len(other.missing(samples)) == 1
    with pytest.raises(CacheError, match="not in the cache"):
        other.get(samples[0])


def test_changed_content_is_never_served_from_before(tmp_path, clips):
    samples = copy_clips(clips, tmp_path / "v")
    cache = open_cache(tmp_path / "c")
    cache.fill(samples, encode)
    before = np.array(cache.get(samples[0])[0])
    shutil.copy(clips / "5.mp4", samples[0].video)
    assert len(cache.missing(samples[:1])) == 0  # the content of 5.mp4 is known already
    after = cache.get(samples[0])[0]
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, expected(cache, samples[0])[0])
    write_video(samples[0].video, draw(8, seed=99), 4)
    assert cache.missing(samples) == [Clip(samples[0].video, None, None)]
    with pytest.raises(CacheError, match="not in the cache"):
        cache.get(samples[0])


def test_a_renamed_file_keeps_its_features(tmp_path, clips):
    samples = copy_clips(clips, tmp_path / "v")
    open_cache(tmp_path / "c").fill(samples, encode)
    (tmp_path / "v").rename(tmp_path / "w")
    assert open_cache(tmp_path / "c").missing(samples_in(tmp_path / "w")) == []


def test_bad_clips_stop_or_are_listed(tmp_path, clips):
    samples = copy_clips(clips, tmp_path / "v")
    Path(samples[1].video).write_text("no video")
    Path(samples[2].video).unlink()
    more = [*samples, Sample("again", samples[1].video, "q?")]
    with pytest.raises(VideoError, match=r"^sample '[12]': "):
        open_cache(tmp_path / "c").fill(more, encode)
    cache = open_cache(tmp_path / "c")
    calls = []
    report = cache.fill(more, encode, lambda *c: calls.append(c), skip_bad=True)
    assert {bad.ids for bad in report.bad} == {("1", "again"), ("2",)}
    assert report.computed + report.reused == 4
    assert calls[-1] == (6, 6)
    assert cache.estimate(more).missing == 2


def test_encode_must_return_features(tmp_path, clips):
    samples = samples_in(clips)[:2]
    with pytest.raises(CacheError, match=r"encode returned \[8, 3\] for 8 frames"):
        open_cache(tmp_path).fill(samples, lambda p: p.mean(axis=(2, 3)))
    with pytest.raises(CacheError, match="encode returned float64"):
        open_cache(tmp_path).fill(samples, lambda p: encode(p).astype(np.float64))


def test_damage_is_noticed_and_repaired(tmp_path, clips):
    samples = samples_in(clips)
    cache = open_cache(tmp_path)
    cache.fill(samples, encode)
    (shard,) = cache.folder.glob("*.bin")
    data = bytearray(shard.read_bytes())
    data[5] ^= 1
    shard.write_bytes(data)
    fresh = open_cache(tmp_path)
    damaged = min(fresh.store.entries, key=lambda key: fresh.store.entries[key].offset)
    with pytest.raises(CacheError, match=shard.name):
        fresh.store.get(damaged)
    others = [fresh.store.get(key) for key in fresh.store.entries if key != damaged]
    assert len(others) == 5
    shard.unlink()  # as the message says
    assert open_cache(tmp_path).fill(samples, encode).computed == 6

    (shard,) = cache.folder.glob("*.bin")
    shard.write_bytes(shard.read_bytes()[:-64])
    fresh = open_cache(tmp_path)
    assert list(fresh.store.damaged.values()) == ["704 bytes; wanted 768"]
    with pytest.raises(CacheError, match="1 damaged shards"):
        fresh.get(samples[0])
    assert fresh.fill(samples, encode).computed == 6
    np.testing.assert_array_equal(fresh.get(samples[0])[0], expected(fresh, samples[0])[0])
    assert open_cache(tmp_path).store.damaged == {}

    (description,) = cache.folder.glob("*~*.json")
    description.write_text(description.read_text()[:20])
    assert open_cache(tmp_path).fill(samples, encode).computed == 6


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, clips):
    (tmp_path / "file").write_text("")
    cache = open_cache(tmp_path / "file")
    with pytest.raises(CacheError, match="name another cache_dir"):
        cache.fill(samples_in(clips), encode)


def test_a_full_disk_is_one_line(tmp_path):
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from mtrans.core.errors import CacheError\n"
        "from mtrans.data.shards import ShardWriter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    with ShardWriter(sys.argv[1]) as w:\n"
        "        w.put('a', np.zeros((100, 1000), np.float32), np.zeros(2))\n"
        "except CacheError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "File too large; make room" in said.stdout
    assert said.stderr == ""
    assert ShardStore(tmp_path).entries == {}


def test_a_foreign_folder_is_refused(tmp_path):
    cache = open_cache(tmp_path)
    cache.folder.mkdir()
    (cache.folder / "spec.json").write_text("{}")
    with pytest.raises(CacheError, match="says something else"):
        open_cache(tmp_path)


def test_a_worker_process_gets_a_small_copy(tmp_path, clips):
    samples = samples_in(clips)
    cache = open_cache(tmp_path)
    cache.fill(samples, lambda p: np.repeat(encode(p), 500, axis=1))
    cache.get(samples[0])
    sent = pickle.dumps(cache)
    assert len(sent) < 10_000
    np.testing.assert_array_equal(pickle.loads(sent).get(samples[0])[0], cache.get(samples[0])[0])


def test_a_size_must_be_known_to_estimate(tmp_path, clips):
    with pytest.raises(CacheError, match="size of features is not known"):
        open_cache(tmp_path).estimate(samples_in(clips))


def start(clips, folder, pause):
    arguments = [sys.executable, str(WORKER), str(clips), str(folder), str(pause)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_two_processes_fill_the_same_clips(tmp_path, clips):
    samples = samples_in(clips)
    workers = [start(clips, tmp_path, 0.1) for _ in range(2)]
    lines = [worker.communicate(timeout=600)[0].splitlines() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    computed = [int(said[-1].split()[1]) for said in lines]
    assert 6 <= sum(computed) <= 12
    cache = open_cache(tmp_path)
    assert cache.missing(samples) == []
    assert cache.store.damaged == {}
    for sample in samples:
        np.testing.assert_array_equal(cache.get(sample)[0], expected(cache, sample)[0])


def test_filling_goes_on_after_a_kill(tmp_path, clips):
    samples = samples_in(clips)
    worker = start(clips, tmp_path, 0.2)
    for _ in range(3):  # the third clip is being encoded: two are done
        assert worker.stdout.readline() == "encoding\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    cache = open_cache(tmp_path)
    cache.store.folder.joinpath("x~y~1~0.bin").write_bytes(b"of another machine")
    left = len(cache.missing(samples))
    assert 0 < left < 6
    report = cache.fill(samples, encode)
    assert (report.computed, report.reused) == (left, 6 - left)
    for sample in samples:
        np.testing.assert_array_equal(cache.get(sample)[0], expected(cache, sample)[0])


def test_a_killed_writer_leaves_no_litter(tmp_path):
    code = (
        "import os, sys, numpy as np; from mtrans.data.shards import ShardWriter;"
        "w = ShardWriter(sys.argv[1]); a = np.zeros((2, 2), np.float32);"
        "w.put('a', a, a[0]); w.close(); w.put('b', a, np.zeros(2)); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert len(list(tmp_path.glob("*.tmp"))) == 1
    assert set(ShardStore(tmp_path).entries) == {"a"}
    with ShardWriter(tmp_path):
        pass
    assert list(tmp_path.glob("*.tmp")) == []
    assert set(ShardStore(tmp_path).entries) == {"a"}


shapes = some_numpy.array_shapes(min_dims=3, max_dims=3, max_side=4)
numbers = st.integers(-2048, 2048).map(float)  # all of them float16 holds
arrays = st.sampled_from([np.float32, np.float16]).flatmap(
    lambda d: some_numpy.arrays(d, shapes, elements=numbers)
)


@given(st.lists(st.tuples(arrays, st.floats(0, 1e5)), min_size=1, max_size=5), st.integers(1, 200))
@settings(max_examples=25, deadline=None)
def test_shards_return_what_was_put(tmp_path_factory, puts, shard_bytes):
    folder = tmp_path_factory.mktemp("s")
    with ShardWriter(folder, shard_bytes=shard_bytes) as writer:
        for number, (array, time) in enumerate(puts):
            writer.put(str(number), array, np.full(len(array), time))
    store = ShardStore(folder)
    assert len(store.entries) == len(puts)
    for number, (array, time) in enumerate(puts):
        found, times = store.get(str(number))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert times.tolist() == [time] * len(array)


def test_contents_are_hashed_once_and_again_when_changed(tmp_path, monkeypatch):
    import mtrans.data.content as content

    hashed = []
    real = content.file_hash
    monkeypatch.setattr(content, "file_hash", lambda path: hashed.append(path) or real(path))
    file = tmp_path / "a"
    file.write_bytes(b"one")
    index = ContentIndex(tmp_path / "i" / "contents.jsonl")
    fresh = index.digest(file)
    assert index.digest(file) == fresh
    assert len(hashed) == 2  # changed a moment ago: not trusted to its time
    os.utime(file, (1e9, 1e9))
    assert index.digest(file) == index.digest(file) == fresh
    assert len(hashed) == 3
    with index.path.open("a") as torn:
        torn.write('["/half')
    again = ContentIndex(index.path)
    assert again.digest(file) == fresh
    assert len(hashed) == 3
    file.write_bytes(b"two")
    assert again.digest(file) != fresh
    with pytest.raises(VideoError, match="can't be read: No such file"):
        again.digest(tmp_path / "none")


def test_other_decoding_code_has_other_features(tmp_path, clips, monkeypatch):
    samples = samples_in(clips)[:1]
    open_cache(tmp_path).fill(samples, encode)
    folder = tmp_path / "video"
    shutil.copytree(Path(video.__path__[0]), folder)
    monkeypatch.setattr(video, "__path__", [str(folder)])
    assert open_cache(tmp_path).missing(samples) == []
    (folder / "write.py").write_text("# has no part in reading")
    assert open_cache(tmp_path).missing(samples) == []
    with (folder / "sampling.py").open("a") as file:
        file.write("# changed")
    assert len(open_cache(tmp_path).missing(samples)) == 1


@LINUX
def test_what_was_read_of_shards_does_not_pile_up_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "RESIDENT_BYTES", 2 << 20)
    arrays = {str(i): np.full(1 << 18, i, np.float32) for i in range(8)}  # 1 MiB each
    with ShardWriter(tmp_path) as writer:
        for key, array in arrays.items():
            writer.put(key, array, np.zeros(1))
    store = ShardStore(tmp_path)
    read = [store.get(key)[0] for key in arrays]
    assert resident(read[0]) <= 4 << 20
    assert all(np.array_equal(a, b) for a, b in zip(read, arrays.values(), strict=True))
