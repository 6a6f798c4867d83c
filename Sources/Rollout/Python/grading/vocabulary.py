"""The words of answers: commands of LaTeX, names of Python and sympy, units, and words that are numbers."""

from fractions import Fraction

GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi "
         "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega").split()

# The name of each function, by the names that it is written with.
FUNCTIONS = {name: name for name in (
    "sin cos tan cot sec csc sinh cosh tanh coth sech csch arcsin arccos arctan arccot arcsec arccsc log ln lg exp "
    "sqrt cbrt abs factorial binomial gcd lcm floor ceil min max pow Rational Fraction Matrix det cis arg "
    "FiniteSet Interval Intervalopen IntervalLopen IntervalRopen Union Eq Integer array").split()}
FUNCTIONS.update(asin="arcsin", acos="arccos", atan="arctan", acot="arccot", arsinh="arcsinh", asinh="arcsinh",
                 arcsinh="arcsinh", acosh="arccosh", arcosh="arccosh", arccosh="arccosh", atanh="arctanh",
                 artanh="arctanh", arctanh="arctanh", ceiling="ceil", comb="binomial", Abs="abs", tg="tan", ctg="cot",
                 log2="log2", log10="lg", fourthroot="fourthroot", arctg="arctan",
                 Ln="ln", Log="log", Arcsin="arcsin", Arccos="arccos", Arctan="arctan", Arg="arg", Re="re", Im="im",
                 sgn="sign", set="FiniteSet")
# Functions that are Python's or sympy's: not commands of LaTeX.
PYTHON = {"abs", "factorial", "pow", "comb", "set", *(name for name in FUNCTIONS.values() if name[0].isupper())}
CONSTANTS = {"pi": "pi", "infty": "inf", "infinity": "inf", "oo": "inf", "inf": "inf", "e": "e", "i": "i"}
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
          "quadrillion": 10**15, "lakh": 10**5, "crore": 10**7, "dozen": 12, "score": 20,
          "tenth": Fraction(1, 10), "hundredth": Fraction(1, 100),
          "thousandth": Fraction(1, 1000), "millionth": Fraction(1, 10**6), "billionth": Fraction(1, 10**9)}
SCALES.update({name + "s": factor for name, factor in list(SCALES.items())})
SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()
SCALES.update((name + "s", Fraction(1, n)) for n, name in enumerate(
    "halve third fourth fifth sixth seventh eighth ninth".split(), 2))
SCALES["quarters"] = Fraction(1, 4)
COUNTS = dict({word: n for n, word in enumerate(SMALL)}, a=1, half=Fraction(1, 2), quarter=Fraction(1, 4))
# Words that change what a number before them says, and so are no units.
MEANINGFUL = set("""base pi half third quarter fourth fourths fifth fifths sixth sixths squared
    cubed factorial pair pairs times over plus minus mod modulo root roots not if for when where is are x y n all no
    none more less fewer than out between except one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty
    ninety""".split())
# Short units that are written without \text. Other words count as units from four letters on.
UNITS = set("""cm mm km dm nm kg mg ml mL dL ft lb lbs mph kph kmh rpm Hz kHz MHz kW kWh MB GB KB kJ kPa Pa atm mol eV
    hr hrs min mins sec secs deg rad usd USD EUR GBP yd oz th st nd rd""".split())
# Short words that stand outside of \text and are no products of letters.
SHORT_WORDS = set("degree degrees deg and or percent base of per out the for not are one two six ten yes no".split())
# Commands that set their argument in a font or a box.
FONTS = set("""text textbf textit textrm textsf texttt textnormal textup textsl textmd textsc mathrm mathbf mathit
    mathsf mathtt mathnormal mathup mathop mbox hbox operatorname boldsymbol bm rm bf it emph boxed fbox
    hspace""".split())
# Commands that stand for themselves.
LETTERLIKE = ("ell", "hbar", "imath", "jmath")
OPERATORS = ("frac", "binom", "pm", "mp", "cup", "cap", "setminus", "emptyset", "circ", "degree", "lfloor", "rfloor",
             "lceil", "rceil", "langle", "rangle", "overline", "vec", "hat", "bar", "bmod", "choose", "over", "tilde")
RELATIONS = {"=": "=", "=<": "<=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "leq": "<=",
             "le": "<=", "geq": ">=", "ge": ">=", "leqslant": "<=", "geqslant": ">=", "lt": "<", "gt": ">",
             "neq": "!=", "ne": "!=", "approx": "~", "simeq": "~", "sim": "~", "in": "in", "equiv": "=", "cong": "~"}
# Commands that mean the same as others, or as a sign.
SAME = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "lbrace": "{",
        "rbrace": "}", "varnothing": "emptyset", "times": "*", "cdot": "*", "ast": "*", "div": "/", "varphi": "phi",
        "varepsilon": "epsilon", "vartheta": "theta", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
        "ldots": "...", "cdots": "...", "dots": "...", "dotsc": "...", "dotsb": "...", "dotsm": "...", "vdots": "...",
        "lbrack": "[", "rbrack": "]", "land": ",", "lor": ",", "wedge": ",", "vee": ",", "degree": "degree",
        "setminus": "setminus", "backslash": "setminus", "uppi": "pi", "colon": ":", "prime": "'", "lparen": "(",
        "rparen": ")"}
# Commands that change how a formula looks, and no more.
DROPPED = set("""left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle limits
    quad qquad hfill nolimits mathstrut strut thinspace enspace space middle""".split())
