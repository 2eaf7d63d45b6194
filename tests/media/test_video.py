import itertools
import os
import struct
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.clips import described, ffmpeg, frame_hashes, picture, sound, times
from toonify.errors import InputError, UsageError
from toonify.media.encoding import SegmentWriter, choose_encoding
from toonify.media.ffmpeg import Process
from toonify.media.mux import assemble, plan_tracks
from toonify.media.probe import probe, source_arguments
from toonify.media.video import Span, open_clip, open_reader


def passed_through(source, output, *, span=None, segment=5, **encoding):
    """Every frame of `source` written again, in segments; gives frames and notes."""
    span = span or Span()
    clip = open_clip(source)
    reader = open_reader(source, clip, span)
    frames = list(reader)
    chosen = choose_encoding(output, clip, alpha=reader.channels == 4, **encoding)
    paths = []
    for start in range(0, len(frames), segment):
        paths.append(output.parent / f"part{start}.nut")
        writer = SegmentWriter(paths[-1], chosen, reader.time_base)
        for frame in frames[start : start + segment]:
            writer.write(frame.pts, frame.pixels)
        writer.close()
    temporary = output.parent / f"joining{output.suffix}"
    plan = plan_tracks(clip, chosen, span, output.parent)
    assemble(output, temporary, paths, chosen, frames=len(frames), clip=clip, span=span, plan=plan)
    assert not temporary.exists()
    return frames, list(plan.notes)


def test_mp4_keeps_sound_times_and_metadata(tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*picture(), *sound(), "-c:a", "aac", "-metadata", "title=Clip of a", source)
    frames, notes = passed_through(source, output)
    assert notes == [] and len(frames) == 12
    assert times(output) == times(source)
    assert times(output, "0:a:0") == times(source, "0:a:0")
    assert "Clip of a" in described(output)
    assert probe(output).duration == pytest.approx(probe(source).duration, abs=0.011)


def test_mkv_keeps_two_sounds_subtitles_chapters_and_languages(tmp_path):
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,700\nHello there\n")
    (tmp_path / "m.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=Opening\n"
    )
    source, output = tmp_path / "a.mkv", tmp_path / "b.mkv"
    inputs = [*picture(), *sound(), *sound(880), "-i", tmp_path / "s.srt", "-i", tmp_path / "m.txt"]
    maps = ["-map", 0, "-map", 1, "-map", 2, "-map", 3, "-map_chapters", 4, "-c:s", "srt"]
    ffmpeg(*inputs, *maps, "-metadata:s:a:1", "language=fra", source)
    passed_through(source, output)
    for stream in ("0:v:0", "0:a:0", "0:a:1", "0:s:0"):
        assert times(output, stream) == times(source, stream)
    text = described(output)
    assert "(fra): Audio" in text and "Opening" in text and "Subtitle: subrip" in text


def test_variable_frame_rate_is_kept_exactly(tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "b.mp4"
    uneven = "setpts='(N+0.37*N*N+0.2*mod(N,3))/30/TB'"
    timing = ["-fps_mode", "passthrough", "-enc_time_base", "1:90000"]
    ffmpeg(*picture(rate=30, seconds=0.4), "-vf", uneven, *timing, "-bf", 0, source)
    passed_through(source, output)
    kept = times(source)
    assert len({b - a for a, b in itertools.pairwise(kept)}) > 5
    assert times(output) == kept


def test_a_picture_that_begins_late_stays_late(tmp_path):
    plain, source, output = tmp_path / "p.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*picture(), plain)
    late = ["-itsoffset", 0.5, "-i", plain, "-map", 1, "-map", 0, "-c:v", "copy", "-c:a", "aac"]
    ffmpeg(*sound(), *late, source)
    passed_through(source, output)
    assert times(output) == times(source) and times(output)[0] >= Fraction(1, 2)


def test_rotated_clip_comes_out_upright(tmp_path):
    plain, source, output = tmp_path / "p.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*picture(), plain)
    ffmpeg("-display_rotation", 90, "-i", plain, "-c", "copy", source)
    frames, _ = passed_through(source, output)
    assert frames[0].pixels.shape == (64, 48, 3)
    assert "48x64" in described(output) and "rotation" not in described(output)
    assert times(output) == times(source)


def test_odd_sides_get_a_line_more(tmp_path):
    source, output = tmp_path / "a.mkv", tmp_path / "b.mp4"
    ffmpeg(*picture(), "-vf", "format=yuv444p,crop=63:47", "-c:v", "ffv1", source)
    frames, _ = passed_through(source, output)
    assert frames[0].pixels.shape == (47, 63, 3)
    assert "64x48" in described(output)


def test_colors_are_kept_and_described(tmp_path):
    source, output = tmp_path / "a.mkv", tmp_path / "b.mkv"
    tags = "setparams=range=pc:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    scale = f"scale=out_color_matrix=bt709:out_range=pc,format=yuv420p,{tags}"
    ffmpeg(*picture(), "-vf", scale, "-color_range", "pc", source)
    before, _ = passed_through(source, output, crf=10)
    clip = probe(output)
    assert (clip.color_range, clip.matrix, clip.primaries) == ("pc", "bt709", "bt709")
    after = list(open_reader(output, clip, Span()))
    difference = np.abs(after[0].rgb.astype(int) - before[0].rgb)
    assert difference.mean() < 5  # chroma at half the size and coding


def test_an_undescribed_clip_stays_undescribed(tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*picture(), "-c:v", "mpeg4", source)
    passed_through(source, output)
    assert probe(output).matrix is None


def test_ten_bits_stay_ten_bits(tmp_path):
    source, output = tmp_path / "a.mkv", tmp_path / "b.mkv"
    ffmpeg(*picture(), "-pix_fmt", "yuv420p10le", "-c:v", "ffv1", source)
    frames, _ = passed_through(source, output, codec="ffv1")
    assert frames[0].pixels.dtype == np.uint16 and frames[0].rgb.dtype == np.uint8
    assert probe(output).pixels == "yuv420p10le"
    assert choose_encoding(tmp_path / "c.mp4", probe(source)).codec == "hevc"


def test_transparency_is_kept_or_declined(tmp_path):
    source, output = tmp_path / "a.mov", tmp_path / "b.mov"
    ffmpeg(*picture(), "-vf", "format=rgba,colorchannelmixer=aa=0.5", "-c:v", "qtrle", source)
    frames, _ = passed_through(source, output)
    assert frames[0].pixels.shape == (48, 64, 4) and 120 < frames[0].pixels[..., 3].mean() < 135
    assert probe(output).pixels.startswith("yuva444p1")
    with pytest.raises(UsageError, match="transparency"):
        choose_encoding(tmp_path / "c.mp4", probe(source), alpha=True)


def test_interlaced_clips_become_progressive(tmp_path):
    source, output = tmp_path / "a.mpg", tmp_path / "b.mp4"
    fields = "tinterlace=interleave_top,fieldorder=tff"
    ffmpeg(
        *picture("64x64", 24), "-vf", fields, "-c:v", "mpeg2video", "-flags", "+ilme+ildct", source
    )
    assert probe(source).interlaced
    frames, _ = passed_through(source, output)
    assert len(frames) == 12 and not probe(output).interlaced


def test_wide_pixels_become_square(tmp_path):
    source = tmp_path / "a.mp4"
    ffmpeg(*picture(), "-vf", "setsar=4/3", source)
    reader = open_reader(source, probe(source), Span())
    assert reader.size == (86, 48)
    reader.close()


def test_part_rate_and_size(tmp_path):
    source, output = tmp_path / "a.mp4", tmp_path / "b.mp4"
    ffmpeg(*picture(seconds=2), *sound(seconds=2), "-c:a", "aac", source)
    frames, _ = passed_through(source, output, span=Span(start=0.5, end=1.5, max_size=32))
    assert len(frames) == 12 and frames[0].pixels.shape == (24, 32, 3)
    assert times(output) == [Fraction(n, 12) for n in range(12)]
    audio = times(output, "0:a:0")
    assert 0 <= audio[0] < 0.03 and audio[-1] < 1
    slow = list(open_reader(source, probe(source), Span(fps=Fraction(6))))
    assert len(slow) == 12


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".mov"])
def test_other_containers(tmp_path, suffix):
    (tmp_path / "s.srt").write_text("1\n00:00:00,100 --> 00:00:00,700\nHello there\n")
    source, output = tmp_path / "a.mp4", tmp_path / f"b{suffix}"
    inputs = [*picture(), *sound(), "-i", tmp_path / "s.srt"]
    ffmpeg(*inputs, *("-map", 0, "-map", 1, "-map", 2), "-c:a", "aac", "-c:s", "mov_text", source)
    _, notes = passed_through(source, output)
    text = described(output)
    assert len(times(output)) == 12 and "Audio" in text and "Subtitle" in text
    assert bool(notes) == (suffix == ".webm")  # its sound can't be AAC


@pytest.mark.parametrize(
    ("suffix", "codec", "layout"),
    [
        (".webm", "ac3", "5.1(side)"),
        (".webm", "flac", "4.0"),
        (".webm", "pcm_s16le", "hexagonal"),
        (".mp4", "pcm_s16le", "7.1(wide)"),
        (".mov", "flac", "5.0(side)"),
    ],
)
def test_surround_sound_goes_into_any_container(tmp_path, suffix, codec, layout):
    source, output = tmp_path / "a.mkv", tmp_path / f"b{suffix}"
    silence = ["-f", "lavfi", "-i", f"anullsrc=cl={layout}:d=1"]
    ffmpeg(*picture(), *silence, "-c:a", codec, source)
    _, notes = passed_through(source, output)
    assert len(times(output, "0:a:0")) > 10
    assert any("audio 1" in note for note in notes)


def test_what_a_container_refuses_is_known_and_named(tmp_path):
    """Before any frame is drawn: an attachment without a type, channels that no encoder takes."""
    plain, source = tmp_path / "p.mkv", tmp_path / "a.mkv"
    (tmp_path / "notes.xyz").write_text("anything")
    ffmpeg(*picture(), *sound(), "-c:a", "flac", plain)
    attached = ["-attach", tmp_path / "notes.xyz", "-metadata:s:t", "mimetype=text/x"]
    ffmpeg("-i", plain, "-map", 0, *attached, "-c", "copy", source)
    clip = probe(source)
    assert [track.kind for track in clip.tracks] == ["audio", "attachment"]
    for suffix in (".mp4", ".webm", ".gif", ""):
        encoding = choose_encoding(tmp_path / f"b{suffix}", clip)
        plan = plan_tracks(clip, encoding, Span(), tmp_path)
        assert any("attachment stream 1" in note for note in plan.notes)
        sounds = any("audio 1" in note for note in plan.notes)
        assert sounds == (suffix not in (".mp4",))
    broken = replace(clip, tracks=(replace(clip.tracks[0], codec="opus"), *clip.tracks[1:]))
    encoding = choose_encoding(tmp_path / "b.webm", clip)
    plan = plan_tracks(broken, encoding, Span(), tmp_path)  # webm takes Opus, but this is FLAC
    assert "libopus" in plan.arguments and any("is opus" in note for note in plan.notes)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.xyz", "p.mkv", "a.mkv"}


@pytest.mark.parametrize("tag", ["eng", "en-US", "zh-Hans", "eng,fra", "English (US)"])
def test_languages_of_any_form_are_kept_or_named(tmp_path, tag):
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    source = tmp_path / "a.mkv"
    tags = [f"language={tag}", "-metadata:s:s:0", f"language={tag}"]
    inputs = [*picture(), *sound(), "-i", tmp_path / "s.srt"]
    ffmpeg(*inputs, "-c:s", "srt", "-metadata:s:a:0", *tags, "-c:a", "aac", source)
    _, notes = passed_through(source, tmp_path / "b.mkv")
    assert notes == []
    assert [track.language for track in probe(tmp_path / "b.mkv").tracks] == [tag, tag]
    _, notes = passed_through(source, tmp_path / "b.mp4")
    assert len(probe(tmp_path / "b.mp4").tracks) == 2
    assert len(notes) == (0 if tag == "eng" else 2)


def test_gif_and_folders_in_and_out(tmp_path):
    source, gif = tmp_path / "a.mp4", tmp_path / "b.gif"
    ffmpeg(*picture(rate=10), source)
    passed_through(source, gif)
    assert times(gif) == [Fraction(n, 10) for n in range(10)]
    folder = tmp_path / "frames"
    passed_through(source, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{n:06d}.png" for n in range(1, 11)]
    again = tmp_path / "again.mp4"
    frames, _ = passed_through(folder, again, span=Span(fps=Fraction(10)))
    assert len(frames) == 10 and times(again) == [Fraction(n, 10) for n in range(10)]
    Image.new("RGB", (10, 10)).save(folder / "000011.png")
    with pytest.raises(InputError, match="10x10"):
        list(open_reader(folder, None, Span()))


def test_segments_are_the_same_however_often(tmp_path):
    source = tmp_path / "a.mp4"
    ffmpeg(*picture(), source)
    for name in ("b.mp4", "c.mp4"):
        passed_through(source, tmp_path / name)
    assert frame_hashes(tmp_path / "b.mp4") == frame_hashes(tmp_path / "c.mp4")


def test_what_is_no_clip(tmp_path):
    text = tmp_path / "a.mp4"
    text.write_text("not a clip\n" * 100)
    with pytest.raises(InputError, match="not a video"):
        probe(text)
    plain = tmp_path / "notes.txt"
    plain.write_text("nothing to see here\n" * 50)
    with pytest.raises(InputError, match="not a video"):
        probe(plain)
    Image.new("RGB", (8, 8)).save(tmp_path / "me.png")
    with pytest.raises(InputError, match=r"not a video.*It is a picture: `toonify stylize`"):
        probe(tmp_path / "me.png")
    empty = tmp_path / "b.mp4"
    empty.touch()
    with pytest.raises(InputError, match="is empty"):
        probe(empty)
    with pytest.raises(InputError, match="no such file"):
        probe(tmp_path / "c.mp4")
    tone = tmp_path / "d.m4a"
    ffmpeg(*sound(), tone)
    with pytest.raises(InputError, match="no video"):
        probe(tone)


def test_a_clip_that_is_cut_off(tmp_path):
    whole, source = tmp_path / "p.mp4", tmp_path / "a.mp4"
    ffmpeg(*picture(), whole)
    source.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="cut off"):
        probe(source)
    whole, source = tmp_path / "p.mkv", tmp_path / "a.mkv"
    ffmpeg(*picture("320x240", 24, 2), whole)
    data = whole.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    reader = open_reader(source, probe(source), Span())
    frames = list(reader)
    assert 5 < len(frames) < 40 and reader.damaged


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    "b.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
    "c.mp4": "ffconcat version 1.0\nfile other.ts\n",
    "d.mkv": "\ufeff\nffconcat version 1.0\nfile '{clip}'\n",
    "e.mp4": "# a comment\nffconcat version 1.0\nfile other.ts\n",
    "f.mpd": '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation id="1">'
    "<BaseURL>other.ts</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "g.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "h.avs": 'FFmpegSource2("{clip}")\n',
    "i.idx": "# VobSub index file, v7 (do not modify this line!)\nsize: 64x48\n",
    "%d.png": "",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_clip_that_names_other_files_is_not_read(tmp_path, name):
    clip, posing = tmp_path / "other.ts", tmp_path / name
    ffmpeg(*picture(), "-f", "mpegts", clip)
    if name == "%d.png":
        for number in (1, 2, 3):
            Image.new("RGB", (64, 48)).save(tmp_path / f"{number}.png")
        Image.new("RGB", (64, 48)).save(posing)
    else:
        posing.write_text(PLAYLISTS[name].format(clip=clip))
    with pytest.raises(InputError):
        probe(posing)
    # and where only ffmpeg is asked, as for the sound of the result
    with pytest.raises(AssertionError):
        ffmpeg(*source_arguments(posing), "-f", "null", "-")
    assert probe(clip).width == 64


def enormous_gif(path, width, height, frames=20):
    """Frames of one pixel's data."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    frame = b"!\xf9\4\0\n\0\0\0" + descriptor + b"\2\2\x4c\1\0"
    path.write_bytes(head + frame * frames + b";")


@pytest.mark.parametrize("side", [5000, 12000, 65535])
def test_enormous_frames_are_refused_before_they_are_decoded(tmp_path, side):
    enormous_gif(tmp_path / "a.gif", side, side)
    with pytest.raises(InputError, match="megapixels"):
        probe(tmp_path / "a.gif")


def test_ffmpeg_has_no_more_memory_than_it_was_given(tmp_path):
    pytest.importorskip("resource")
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux can limit another process")
    source = ["-f", "lavfi", "-i", "color=s=8000x4000:d=2:r=25", "-f", "null", "-"]
    process = Process(source, memory=100_000_000)
    assert process.finish() != 0


def test_decoding_that_gives_no_frame_ends(tmp_path, monkeypatch):
    source = tmp_path / "a.mkv"
    ffmpeg(*picture(seconds=0.25), source)
    monkeypatch.setattr("toonify.media.video.STALLED", 0.5)
    reader = open_reader(source, probe(source), Span())
    reader._thread.join()
    while not reader._ready.empty():
        reader._ready.get()  # as if nothing had come
    with pytest.raises(InputError, match="no frame for"):
        list(reader)


def test_a_pipe_is_no_clip(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="not a file"):
        probe(tmp_path / "a.mp4")


def test_tags_of_any_kind_are_read(tmp_path):
    source = tmp_path / "a.mkv"
    tags = ["-metadata:s:a:0", "language=English (US), Sound: x", "-metadata:s:v:0"]
    ffmpeg(*picture(), *sound(), "-ac", 2, *tags, "language=pt-BR", source)
    (track,) = probe(source).tracks
    assert (track.kind, track.language) == ("audio", "English (US), Sound: x")
    assert (track.codec, track.layout) == ("vorbis", "stereo")


def test_recordings_of_browsers_have_their_true_rate(tmp_path):
    source = tmp_path / "a.webm"
    sparse = "fps=1000,select='not(mod(n,33))'"
    ffmpeg(*picture(rate=30), "-vf", sparse, "-fps_mode", "passthrough", "-c:v", "libvpx", source)
    assert probe(source).fps == pytest.approx(30.3, abs=0.1)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_tone_mapped(tmp_path, transfer):
    """A picture in HDR's colors comes out as it was before; what is brighter is rolled off."""
    plain, source, output = tmp_path / "p.mkv", tmp_path / "a.mkv", tmp_path / "b.mp4"
    described = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    soft = f"scale=out_color_matrix=bt709:out_range=tv,gblur=4,format=yuv444p,{described}"
    ffmpeg(*picture("128x96", 5), "-vf", soft, "-c:v", "ffv1", plain)
    to_hdr = [
        "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020",
        f"zscale=t={transfer}:m=bt2020nc:r=tv:npl=203,format=yuv420p10le",
        f"setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc={transfer}:range=tv",
    ]
    ffmpeg("-i", plain, "-vf", ",".join(to_hdr), "-c:v", "ffv1", source)
    clip = probe(source)
    assert clip.hdr and clip.deep
    before = list(open_reader(plain, probe(plain), Span()))
    frames, _ = passed_through(source, output, crf=10)
    assert frames[0].pixels.dtype == np.uint8
    for a, b in zip(before, frames, strict=True):
        assert np.abs(a.rgb.astype(int) - b.rgb).mean() < 6
        assert b.rgb.std() > 30
    written = probe(output)
    assert not written.hdr and not written.deep
    assert (written.matrix, written.primaries, written.transfer) == ("bt709",) * 3


def test_hdr_without_the_filter_is_one_line(tmp_path, monkeypatch):
    source = tmp_path / "a.mkv"
    tags = "format=yuv420p10le,setparams=color_trc=smpte2084"
    ffmpeg(*picture(), "-vf", tags, "-c:v", "ffv1", source)
    assert len(list(open_reader(source, probe(source), Span()))) == 12  # with no more tags
    monkeypatch.setattr("toonify.media.video.has_filter", lambda name: False)
    with pytest.raises(InputError, match="HDR"):
        open_reader(source, probe(source), Span())


def test_what_does_not_go_together(tmp_path):
    with pytest.raises(UsageError, match="can't write"):
        choose_encoding(tmp_path / "a.avi", None)
    with pytest.raises(UsageError, match="does not go into"):
        choose_encoding(tmp_path / "a.webm", None, codec="h264")
    with pytest.raises(UsageError, match="unknown codec"):
        choose_encoding(tmp_path / "a.mp4", None, codec="h266")
    with pytest.raises(UsageError, match="no `crf`"):
        choose_encoding(tmp_path / "a.mov", None, codec="prores", crf=20)
    with pytest.raises(UsageError, match="end before"):
        Span(start=3, end=2)


def test_a_full_disk_is_told(tmp_path):
    encoding = choose_encoding(tmp_path / "a.mkv", None, codec="ffv1")
    writer = SegmentWriter(tmp_path / "nowhere" / "a.nut", encoding, Fraction(1, 25))
    with pytest.raises(InputError, match="can't write"):
        for n in range(100):
            writer.write(n, np.zeros((48, 64, 3), np.uint8))
        writer.close()


def test_what_a_killed_runs_encoder_still_writes_harms_nothing(tmp_path):
    """A segment has a name of its writer's own until it is whole."""
    encoding = choose_encoding(tmp_path / "a.mkv", None)
    picture = np.zeros((48, 64, 3), np.uint8)
    killed, again = (SegmentWriter(tmp_path / "0.nut", encoding, Fraction(1, 25)) for _ in range(2))
    again.write(0, picture)
    again.close()
    whole = (tmp_path / "0.nut").read_bytes()
    killed.write(0, picture + 200)
    killed.abort()
    assert (tmp_path / "0.nut").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["0.nut"]
