"""Makes shop.db from shop.sql, beside this file."""

import pathlib
import sqlite3

folder = pathlib.Path(__file__).resolve().parent
(folder / "shop.db").unlink(missing_ok=True)
with sqlite3.connect(folder / "shop.db") as database:
    database.executescript((folder / "shop.sql").read_text())
