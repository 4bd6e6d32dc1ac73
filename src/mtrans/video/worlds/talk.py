"""The world `talk`: somebody says one sentence of a dialogue, and may not mean it.

    words (positive | negative)   XOR   affect shown over time (rising | falling)   =  sarcastic?

Affect is the direction in which the face changes (from frown towards smile is rising) and in which
the pitch of the voice changes. A falling clip is a rising one played backwards as far as the face
is concerned, so the set of expressions, and the centre frame, are equally likely for both: only
their order tells, and only together with the words. (A single frame known to lie off the centre
does tell something: with the words 60 to 80 %, most for the first and the last.) Some clips have a
poker face, where the voice alone tells, others a flat voice. A synthetic test bench.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mtrans.core.records import Fact, Turn
from mtrans.video.worlds import language as words
from mtrans.video.worlds import voice as sound
from mtrans.video.worlds.canvas import Canvas, Colour
from mtrans.video.worlds.clip import ClipQuestion, WorldClip
from mtrans.video.worlds.face import Look, Pose, draw_face, random_look
from mtrans.video.worlds.language import pick

POKER_FACE = 0.1
"""Share of clips whose face does not change."""
FLAT_VOICE = 0.1
"""Share of clips whose pitch does not change; never those with a poker face."""
OCCLUDED = 0.15
"""Share of clips where a microphone hides half of the mouth."""


@dataclass(frozen=True)
class Change:
    """A value that goes smoothly from one plateau to another, or stays.

    Attributes:
        centre: Value half-way.
        reach: Distance from `centre` to each plateau; 0 stays.
        rising: Which way it goes.
        middle: When it is half-way, in seconds.
        width: Seconds from plateau to plateau.
    """

    centre: float
    reach: float
    rising: bool
    middle: float
    width: float

    def at(self, times: np.ndarray) -> np.ndarray:
        """Returns the value at `times` (float[N] seconds), float64[N]."""
        u = np.clip((times - self.middle) / self.width + 0.5, 0.0, 1.0)
        progress = 2 * u * u * (3 - 2 * u) - 1
        return self.centre + self.reach * (progress if self.rising else -progress)


@dataclass(frozen=True)
class Speaker:
    """Who speaks: fixed per name."""

    look: Look
    voice: sound.Voice


@dataclass(frozen=True)
class Script:
    """All that decides a clip: its truth.

    Attributes:
        speaker: Name of who is seen and heard.
        turns: The dialogue; the last turn is the speaker's.
        positive: Literal sentiment of the last turn.
        rising: True affect: face and pitch rise.
        face_cue: The face shows the affect.
        voice_cue: The voice shows the affect.
        frames: Number of frames.
        fps: Frames a second.
        valence: The face's course.
        semitones: The voice's course.
        syllables: When the speaker is loud and the mouth open.
        hand: Begin, end (seconds) and height of a raised hand; height 0 is none.
        asks_hand: The second question is about the hand, else about the words.
        gaze: Times (seconds) and directions of the eyes' fixations.
        place: Centre and scale of the head.
        sway: Amplitude, cycles a second and phase of the head's sway.
        background: Its colour.
        microphone: Side (-1 or 1) of the mouth that is hidden; 0 is none.
    """

    speaker: str
    turns: tuple[Turn, ...]
    positive: bool
    rising: bool
    face_cue: bool
    voice_cue: bool
    frames: int
    fps: float
    valence: Change
    semitones: Change
    syllables: tuple[sound.Syllable, ...]
    hand: tuple[float, float, float]
    asks_hand: bool
    gaze: tuple[np.ndarray, np.ndarray]
    place: tuple[float, float, float]
    sway: tuple[float, float, float]
    background: Colour
    microphone: int

    @property
    def sarcastic(self) -> bool:
        """Words and affect disagree."""
        return self.positive != self.rising

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.frames / self.fps

    @property
    def times(self) -> np.ndarray:
        """Middle of each frame's showing, float64[frames]: symmetric about the clip's centre."""
        return (np.arange(self.frames) + 0.5) / self.fps


def generate(
    rng: np.random.Generator, *, size: int = 64, fps: float = 8.0, seconds: float | None = None
) -> WorldClip:
    """Generates one clip.

    Args:
        rng: Source of all randomness.
        size: Height and width in pixels.
        fps: Frames a second.
        seconds: Length; None draws 3 to 4.

    Returns:
        The clip with the question about sarcasm and an easier one, as in :class:`WorldClip`.
    """
    script = write_script(rng, fps=fps, seconds=seconds)
    voice = speaker_of(script.speaker).voice
    semitones = script.semitones.at(sound.sample_times(script.seconds))
    return WorldClip(
        frames=_draw(script, size),
        fps=fps,
        questions=_questions(script),
        facts=_facts(script),
        audio=sound.speak(rng, voice, script.syllables, semitones),
        sample_rate=sound.SAMPLE_RATE,
        speaker=script.speaker,
    )


def speaker_of(name: str) -> Speaker:
    """Returns the look and voice that always belong to a name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    look = random_look(rng)
    # evenly spaced, so that no two sound alike
    pitch = 100.0 * 2.0 ** (1.2 * words.NAMES.index(name) / (len(words.NAMES) - 1))
    formants = (float(rng.uniform(450, 800)), float(rng.uniform(1100, 1900)))
    return Speaker(look, sound.Voice(pitch, formants))


def write_script(
    rng: np.random.Generator, *, fps: float = 8.0, seconds: float | None = None
) -> Script:
    """Draws all that decides a clip, label first, so that nothing else depends on it.

    Args:
        rng: Source of all randomness.
        fps: Frames a second.
        seconds: Length; None draws 3 to 4.

    Returns:
        The clip's truth.
    """
    sarcastic, positive = bool(rng.integers(2)), bool(rng.integers(2))
    rising = positive != sarcastic
    if seconds is None:
        # an odd number of frames has one right in the middle
        frames = 2 * int(rng.uniform(3.0, 4.0) * fps / 2) + 1
    else:
        frames = max(1, round(seconds * fps))
    length = frames / fps
    cue = rng.random()
    face_cue, voice_cue = cue >= POKER_FACE, not POKER_FACE <= cue < POKER_FACE + FLAT_VOICE
    speaker, turns = _dialogue(rng, positive)
    asks_hand = bool(rng.integers(2))
    return Script(
        speaker=speaker,
        turns=turns,
        positive=positive,
        rising=rising,
        face_cue=bool(face_cue),
        voice_cue=bool(voice_cue),
        frames=frames,
        fps=float(fps),
        valence=_valence(rng, rising, bool(face_cue), length),
        semitones=_semitones(rng, rising, bool(voice_cue), length),
        syllables=sound.place_syllables(rng, sound.count_syllables(turns[-1].text), length),
        hand=_hand(rng, asks_hand, length),
        asks_hand=asks_hand,
        gaze=_fixations(rng, length),
        place=(
            float(rng.uniform(0.45, 0.55)),
            float(rng.uniform(0.42, 0.52)),
            float(rng.uniform(0.9, 1.1)),
        ),
        sway=(
            float(rng.uniform(0.0, 0.012)),
            float(rng.uniform(0.3, 0.8)),
            float(rng.uniform(0.0, 2 * np.pi)),
        ),
        background=_background(rng),
        microphone=int(pick(rng, (-1, 1))) if rng.random() < OCCLUDED else 0,
    )


def _dialogue(rng: np.random.Generator, positive: bool) -> tuple[str, tuple[Turn, ...]]:
    thing = pick(rng, words.THINGS)
    speaker, other, third = (words.NAMES[i] for i in rng.permutation(len(words.NAMES))[:3])
    turns = [
        Turn(pick(rng, words.OPENERS).format(thing=thing), other),
        Turn(pick(rng, words.REPLIES), third),
        Turn(words.literal_sentence(rng, positive, thing), speaker),
    ]
    count = int(rng.integers(1, 4))
    return speaker, tuple({1: turns[2:], 2: [turns[0], turns[2]], 3: turns}[count])


def _valence(rng: np.random.Generator, rising: bool, cue: bool, length: float) -> Change:
    # the centre varies by more than the change, so that a face at a known time that is not the
    # centre says as little as possible about the direction
    reach = float(rng.uniform(0.35, 0.45))
    centre = float(rng.uniform(-0.6, 0.6))
    middle, width = float(rng.uniform(0.43, 0.57)), float(rng.uniform(0.3, 0.65))
    stays = centre + reach * pick(rng, (-1, 1))
    if not cue:
        centre, reach = float(stays), 0.0
    return Change(float(centre), reach, rising, middle * length, width * length)


def _semitones(rng: np.random.Generator, rising: bool, cue: bool, length: float) -> Change:
    reach = float(rng.uniform(2.0, 4.0))
    centre, width = float(rng.uniform(-1.5, 1.5)), float(rng.uniform(0.5, 0.9))
    stays = centre + reach * pick(rng, (-1, 1))
    if not cue:
        centre, reach = float(stays), 0.0
    return Change(centre, reach, rising, length / 2, width * length)


def _hand(rng: np.random.Generator, asked: bool, length: float) -> tuple[float, float, float]:
    height = float(rng.uniform(0.65, 1.0))
    raised = bool(rng.integers(2))
    begin, end = float(rng.uniform(0.05, 0.7)), float(rng.uniform(0.15, 0.3))
    if asked:  # in view during the whole centre third, or not at all
        begin, end = float(rng.uniform(0.22, 0.3)), float(rng.uniform(0.7, 0.78))
    else:
        end += begin
    return begin * length, end * length, height if raised else 0.0


def _fixations(rng: np.random.Generator, length: float) -> tuple[np.ndarray, np.ndarray]:
    count = max(1, round(length / 0.8))
    return np.sort(rng.uniform(0.0, length, count)), rng.choice([-1.0, 0.0, 0.0, 1.0], count)


def _background(rng: np.random.Generator) -> Colour:
    level, tint = int(rng.integers(15, 95)), rng.integers(-8, 9, size=3)
    r, g, b = (int(np.clip(level + t, 0, 255)) for t in tint)
    return r, g, b


def _questions(script: Script) -> tuple[ClipQuestion, ...]:
    asked = words.Q_SARCASM.format(name=script.speaker)
    answer = "yes" if script.sarcastic else "no"
    sarcasm = ClipQuestion("sarcasm", asked, answer, words.YES_NO, script.turns)
    if script.asks_hand:
        raised = "yes" if script.hand[2] else "no"
        second = ClipQuestion("hand", words.Q_HAND, raised, words.YES_NO, script.turns)
    else:
        second = ClipQuestion(
            "sentiment",
            words.Q_SENTIMENT,
            "positive" if script.positive else "negative",
            ("positive", "negative"),
            script.turns,
        )
    return sarcasm, second


def _facts(script: Script) -> dict[str, Fact]:
    """Returns what is known of the clip; nothing here tells sarcasm or the true affect."""
    return {
        "seconds": round(script.seconds, 3),
        "turns": len(script.turns),
        "objects": 2 if script.microphone else 1,
        "face_cue": script.face_cue,
        "voice_cue": script.voice_cue,
        "sentiment": "positive" if script.positive else "negative",
        "speed": round(2 * script.valence.reach / script.valence.width, 3),
        "occlusion": 0.5 if script.microphone else 0.0,
    }


def _draw(script: Script, size: int) -> Iterator[np.ndarray]:
    """Draws the frames one by one, uint8[size, size, 3] each."""
    look, times = speaker_of(script.speaker).look, script.times
    valence = script.valence.at(times)
    opening = sound.loudness(script.syllables, times)
    gaze = np.interp(times, *script.gaze)
    begin, end, height = script.hand
    ramp = 0.1 * script.seconds
    hand = height * np.clip(np.minimum(times - begin, end - times) / ramp + 1.0, 0.0, 1.0)
    amplitude, cycles, phase = script.sway
    x, y, scale = script.place
    for i, t in enumerate(times):
        canvas = Canvas(size, background=script.background)
        pose = Pose(float(valence[i]), float(gaze[i]), float(opening[i]), float(hand[i]))
        sway = amplitude * float(np.sin(2 * np.pi * cycles * t + phase))
        draw_face(canvas, look, pose, x + sway, y, scale)
        if script.microphone:
            _draw_microphone(canvas, look, script.microphone, x, y, scale)
        yield canvas.pixels()


def _draw_microphone(
    canvas: Canvas, look: Look, side: int, x: float, y: float, scale: float
) -> None:
    w = look.width * scale
    mx, my = x + side * w * 0.42, y + w * 1.28 * 0.48
    canvas.line([(mx, my), (mx + side * 0.12, 1.05)], 0.03, (20, 20, 22))
    canvas.ellipse(mx, my, w * 0.36, w * 0.42, (70, 70, 78))
