"""How a level is written in the store. The script's prelude says the same in Lua."""

from typing import Final

from tallykeeper_server.domain.levels import Counter, Level, LevelName, StockLevel, StockName

_ABSENT: Final = "-"
_STOCK_FIELDS: Final = 5
_COUNTER_FIELDS: Final = 4


def decode_level(name: LevelName, text: str) -> Level:
    """Return what a level's text says.

    :raises ValueError: the text was not written by the script.
    """
    fields = text.split(" ")
    whole = _STOCK_FIELDS if isinstance(name, StockName) else _COUNTER_FIELDS
    if len(fields) not in {1, whole}:
        message = f"a level has 1 or {whole} fields, and not {len(fields)}"
        raise ValueError(message)
    if isinstance(name, StockName):
        return StockLevel(name, *map(int, fields))
    return Counter(name, int(fields[0]), *(None if field == _ABSENT else int(field) for field in fields[1:]))
