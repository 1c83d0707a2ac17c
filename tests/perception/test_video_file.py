from pathlib import Path

import av
import numpy as np
import pytest

from perception.sources import open_source, parse_video
from perception.video_file import DEFAULT_START_AT, VideoFile
from twin.errors import BadInput, SourceError
from twin.events.codec import micros


def read(source) -> tuple[list, str | None]:
    taken = []
    try:
        for frame in source.frames():
            taken.append(frame)
    except SourceError as wrong:
        return taken, str(wrong)
    finally:
        source.close()
    return taken, None


def noise(n: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 255, (192, 320, 3), np.uint8) for _ in range(n)]


def test_frames_are_stamped_by_the_files_own_times(tmp_path, drive, write_video):
    path = write_video(tmp_path / "a.mp4", drive(12), fps=8)
    taken, error = read(VideoFile("north", path))
    assert error is None
    assert [frame.exposed_at - DEFAULT_START_AT for frame in taken] == [i * 125_000 for i in range(12)]
    assert [frame.index for frame in taken] == list(range(12))
    assert taken[0].image.shape == (192, 320, 3)
    assert taken[0].image.dtype == np.uint8
    assert taken[0].image[90, 50].tolist() == pytest.approx([0, 0, 255], abs=12)  # blue, green, red


def test_creation_time_and_start_at_set_the_first_time(tmp_path, drive, write_video):
    path = write_video(tmp_path / "a.mp4", drive(3), metadata={"creation_time": "2025-05-01T12:00:00.000000Z"})
    assert read(VideoFile("north", path))[0][0].exposed_at == micros("2025-05-01T12:00:00Z")
    assert read(VideoFile("north", path, start_at=77))[0][0].exposed_at == 77


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_truncated_video_gives_its_whole_frames_and_then_says_where_it_broke(suffix, tmp_path, write_video):
    path = write_video(tmp_path / f"a{suffix}", noise(40))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    taken, error = read(VideoFile("north", path))
    assert 15 <= len(taken) <= 26
    assert error is not None
    assert str(path) in error
    assert f"{len(taken)} frames" in error or "decoding errors" in error


def test_damaged_bytes_in_the_middle_are_reported_and_the_rest_is_used(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", noise(40))
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 60_000] = bytes(60_000)
    path.write_bytes(whole)
    taken, error = read(VideoFile("north", path))
    assert len(taken) >= 20
    assert taken[-1].index == len(taken) - 1
    assert error is not None
    assert "broke after" in error or "truncated" in error


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(range(256)) * 100])
def test_what_is_no_video_is_refused_with_its_size(content, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"\({len(content)} bytes\) is not a video"):
        VideoFile("north", path)


def test_missing_file_is_named(camera, tmp_path):
    with pytest.raises(SourceError, match=r"'.*none\.mp4' does not exist"):
        open_source(camera, str(tmp_path / "none.mp4"))


def test_sound_without_pictures_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="none with pictures"):
        VideoFile("north", path)


def test_unknown_address_and_malformed_option_are_refused(camera):
    with pytest.raises(SourceError, match="'ftp://' is not supported"):
        open_source(camera, "ftp://host/x")
    with pytest.raises(BadInput, match="is not CAMERA=PATH"):
        parse_video("clip.mp4")
    assert parse_video("north=a=b.mp4") == ("north", "a=b.mp4")


def test_folder_of_pictures_is_a_source_in_the_order_of_names(tmp_path, camera, drive):
    import cv2

    for index, image in enumerate(drive(4)):
        cv2.imwrite(str(tmp_path / f"{index:03}.png"), image)
    (tmp_path / "001.png").write_bytes(b"broken")
    (tmp_path / "002.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    taken, error = read(open_source(camera, str(tmp_path), start_at=1_000_000))
    assert [(frame.index, frame.exposed_at) for frame in taken] == [(0, 1_000_000), (3, 1_300_000)]
    assert error is not None
    assert "2 of 4 pictures cannot be read, the first is '001.png'" in error


def test_empty_folder_is_refused(tmp_path, camera):
    with pytest.raises(SourceError, match="has no picture"):
        open_source(camera, str(tmp_path))


def test_unreadable_videos_leave_no_file_open(tmp_path):
    path = Path(tmp_path / "a.mp4")
    path.write_bytes(b"x")
    with pytest.raises(SourceError):
        VideoFile("north", path)
    path.unlink()
