"""The prompt files of ToxiGen: which there are, where they come from, and the
statements of their lines."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import check_regular
from veneer.tasks.data import Origin, Pin, locate

# the commit at which each file got its present content
_COMMIT = "2b0ef7683e0e9204ec61bbf4d95300a02ed384e3"
_LATER = {
    "immigrant": "e8faa5d3fe317aa6a36c9de4ab16b5a24c7f1d67",
    "bisexual": "4a00b8e6918805c43feab6b74557db7d1ae96ca5",
}
_HASHES = {
    "hate_asian": "0504967034122b691c16dbef10db3acb16492808ecc66d8cd2b2ae87454fd655",
    "hate_bisexual": "09a5b6995d0cd0ba940ae9f9d67e8db1451352dcf99ee273315efc34915fc1e3",
    "hate_black": "29ef85c5610d77a3a4bb050826ffb6e124ee48e11f5b63d34b29d616ef2ee1c3",
    "hate_chinese": "7f99029bad4f71caff707787d6799d1d654fee140f22418691d1244e81ed2b21",
    "hate_immigrant": "bebb38d8786f498ca2153f965cdfba14e0490d5216781091106e5ac8ebbe0574",
    "hate_jewish": "f5bdf83ef8fd32435241cc5fcfc337c0a57bcf64eb7fb4aa3c8fe15eb86f1fd2",
    "hate_latino": "60988864d728cc7b1644a72419181efc1d82b2342f636a5e76f34805e4a88537",
    "hate_lgbtq": "7fb7da0d4ad1a485824111ab60f6030f01dd92dbc9342c76534c78faec061a16",
    "hate_mental_disability": "5a71f51bf998c5111b5dd6d0b7d7edbaa445f27defbc1fdb798dd920974ad3e2",
    "hate_mexican": "2fad743ced369e4a280165b7ea909f8cb30921840cbe5f9f454243cf9e4dcfd5",
    "hate_middle_east": "29ffcca6defd3e4f2edd2237417c7617a3c7380de8f9c6cf13d8c087fa595223",
    "hate_muslim": "aaa18a9bf72928f71cf3d0d8d4dfa298faeb015a8580f5c7e21ef7afaae3241a",
    "hate_native_american": "01c2077f1007268ca11588d08f909ed9c01178148205ae417618d276227b9bbc",
    "hate_physical_disability": "8cada46239a52a741faf47677d1ffbfa06dc31d3e480a03935a5aec89ea02dee",
    "hate_trans": "6188dfd52082e552230a1332e2bf83a23e8410c5f353d32dca79f259c8daf8b8",
    "hate_women": "eecdf3006847c267b9399045ce2fe002f884fe5b682dbef450f3477d7bb24497",
    "neutral_asian": "a5f0c58ae51dc8771d1779009ffc3017c5071c529b01f260600fa96c164ceb44",
    "neutral_bisexual": "8a3391bb9a178295f619c3e92ba9bc177225c392d90ac9f4ab5702c4140d6e51",
    "neutral_black": "8e1da39bf32818c14156f4de32ef6a35f701e1737540dafb02bdf8eb03206a6b",
    "neutral_chinese": "aad50dde2f68d75804e44b939a700b8e37ef93a152cae1a045f8881f89c7e982",
    "neutral_immigrant": "1807799ed9e45c428792da879f83d874e3f589c63b6fd746716fafe2b117c3d4",
    "neutral_jewish": "c804dc98c4a7d90105a9848a66cde4eb05db9a63a8d2668387e46bba90c28380",
    "neutral_latino": "7fad9d0003e54e5f18c1dafb7e21b2295dae5bb7290e9c649eadb7a450b80957",
    "neutral_lgbtq": "7cefb606353cfff8c9ee4af9b2044f039e698dc8117b7c9414dd02dedca51ba9",
    "neutral_mental_disability": "8f513551d7c86c3fd6df5d0a4bb8fd831c45c24d917d69ab3a61f1a984edf3d0",
    "neutral_mexican": "e16aaa8a4606b3bf08139b9c91067cb63d620dd5a3a94e63b8ebc3f4198b1597",
    "neutral_middle_east": "a4f23dfbe5bd0dec6a2018b2fe1ca9805d2a7ca76791da5300c72e6bcdabcdf9",
    "neutral_muslim": "d378bc96f388cef1be42954246b67955dfe3d42cfcbf2ffc2924856c2fb933cd",
    "neutral_native_american": "8affc8490fb2fac8ad72041cce775fc9442ebea95a64a7a2274825e1231ef265",
    "neutral_physical_disability": (
        "30ae4d6774054136a635cd9097dd4fe530ec2f407932f775e8093afa795cff8e"
    ),
    "neutral_women": "dfad74fee637cd35415fc9b3a0b8d27d799e5613da5d9be0fdf93774fe813208",
}
# kind and group: hate_asian, neutral_asian; hate_trans has no neutral counterpart
FILES = tuple(_HASHES)
# groups whose statements speak of each other's members (hate_lgbtq and hate_trans even share some)
FAMILIES = (
    ("asian", "chinese"),
    ("bisexual", "lgbtq", "trans"),
    ("black",),
    ("immigrant", "latino", "mexican"),
    ("jewish",),
    ("mental_disability", "physical_disability"),
    ("middle_east", "muslim"),
    ("native_american",),
    ("women",),
)

# files of the same statements: hate_lgbtq and hate_trans, neutral_middle_east and neutral_women
SHARING = {"hate_trans": "hate_lgbtq", "neutral_women": "neutral_middle_east"}


def cluster_of(file: str) -> str:
    """Return the file itself, or the first of the files with which it shares statements."""
    return SHARING.get(file, file)


def group_of(file: str) -> str:
    """hate_asian -> asian."""
    return file.partition("_")[2]


ORIGIN = Origin(
    "microsoft/TOXIGEN",
    {
        f"toxigen/{f}_1k.txt": Pin(_LATER.get(group_of(f), _COMMIT), f"prompts/{f}_1k.txt", sha256)
        for f, sha256 in _HASHES.items()
    },
)


def read_lines(file: str, data: Path | None) -> list[str]:
    """Return the prompts of a file, each with line breaks between its statements and an open list
    item at the end."""
    path = locate(ORIGIN, f"toxigen/{file}_1k.txt", data)
    check_regular(path, "one prompt per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected one prompt per line; get the file again"
        ) from None
    if blank := next((n for n, line in enumerate(lines, 1) if not line.strip()), None):
        raise InputError(f"{path} line {blank} is blank; expected a prompt; get the file again")
    return [line.replace("\\n", "\n") for line in lines]


def statements(line: str) -> list[str]:
    """Return the statements of a prompt, in order, without their list marks."""
    return [s for item in line.split("\n") if (s := item.strip().removeprefix("-").strip())]


def as_prompt(items: list[str]) -> str:
    """Statements as a prompt again, as the files write it."""
    return "\n".join([*(f"- {s}" for s in items), "-"])
