"""Unicode mathematics as LaTeX."""

import re
import unicodedata

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵃᵇᶜᵈᵉᵏᵐᵗ", "0123456789+-=()nixyabcdekmt"))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₖₗₘₙₚₛₜᵢⱼ", "0123456789+-=()aeoxklmnpstij"))
DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹", "₀₁₂₃₄₅₆₇₈₉"
FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
             "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8", "⅑": "1/9",
             "⅒": "1/10"}
CHARACTERS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-",
    "×": r"\times ", "✕": r"\times ", "✖": r"\times ", "⨯": r"\times ",
    "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "∗": "*",
    "÷": "/", "∕": "/", "⁄": "/", "‰": r"\cdot \frac{1}{1000}", "％": r"\%",
    "√": r"\sqrt ", "∛": r"\cbrt ", "∜": r"\fourthroot ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "≃": r"\approx ",
    "∪": r"\cup ", "∩": r"\cap ", "∖": r"\setminus ", "∅": r"\emptyset ", "Ø": r"\emptyset ", "∈": r"\in ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ",
    "∣": "|", "│": "|", "‖": "|", "∶": ":", "、": ",", "′": "'", "’": "'", "…": "...", "⋯": "...", "⋮": "...",
    "°": r"^\circ ", "º": r"^\circ ", "∞": r"\infty ", "∑": r"\sum ", "∫": r"\int ", "∏": r"\prod ",
    "π": r"\pi ", "ϕ": r"\phi ", "φ": r"\phi ", "ϵ": r"\epsilon ", "ⅈ": "i", "ⅇ": "e", "ℯ": "e",
}


def ascii_digits(text):
    return "".join(str(max(run.find(c) for run in DIGITS)) for c in text)


def plain(text):
    """Unicode mathematics as LaTeX, without the characters that nobody sees."""
    if text.isascii():
        return text
    text = "".join(c for c in text if c not in "\u200b\u200c\u200d\u2060\ufeff\u2061\u2062\u00ad")
    text = re.sub(r"(\d)[\u0304\u0305]", r"\\overline{\1}", text)
    text = re.sub(r"([A-Za-z])\u0304", r"\\bar{\1}", text)
    text = re.sub(r"([%sⁿᵏᵐ]+)√" % DIGITS[0],
                  lambda found: r"\sqrt[%s]" % "".join(SUPERSCRIPTS[c] for c in found.group(1)), text)
    text = re.sub(r"([%s]+)[⁄/]([%s]+)" % DIGITS,
                  lambda found: r"\frac{%s}{%s}" % tuple(map(ascii_digits, found.groups())), text)
    text = re.sub(r"(\d)\u0307", r"\\dot{\1}", text)
    text = text.replace("\u2063", ",")
    for table, mark in ((SUPERSCRIPTS, "^"), (SUBSCRIPTS, "_")):
        run = "[%s]+" % re.escape("".join(table))
        text = re.sub(run, lambda found: mark + "{" + "".join(table[c] for c in found.group()) + "}", text)
    text = re.sub("[%s]" % "".join(FRACTIONS),
                  lambda found: r"\frac{%s}{%s}" % tuple(FRACTIONS[found.group()].split("/")), text)
    text = "".join(CHARACTERS.get(c, c) for c in text)
    text = unicodedata.normalize("NFKC", text)
    result = ""
    for c in text:
        c = CHARACTERS.get(c, c)
        name = "" if c.isascii() or len(c) > 1 else unicodedata.name(c, "")
        if name.startswith("GREEK ") and " LETTER " in name:
            word = name.split()[-1].replace("LAMDA", "LAMBDA").lower()
            c = "\\" + (word.capitalize() if "CAPITAL" in name else word) + " "
        elif name and unicodedata.category(c) == "Sc":
            c = "\\$"
        result += c
    return result
