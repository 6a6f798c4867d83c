"""When an answer equals the gold answer: the rules of docs/grading.md.

From a text to a tree:

    characters      Unicode mathematics becomes LaTeX
    cleaning        what never changes a value goes
    numerals        numbers in words become digits
    vocabulary      the words and commands that are known
    literals        numbers as they are written
    tokens, words   the text as a list of tokens
    parser          the tokens as a tree: lists, relations, sums, products, powers
    atoms           numbers, names, brackets, matrices in it
    functions       functions in it
    cursor          where a parser stands
    tree            the nodes
    errors          why there is no tree, or no value

From trees to a verdict:

    exact           rational arithmetic
    approximate     arithmetic with mpmath
    evaluation      the value of an expression
    equality        whether two expressions have the same value
    shapes          what kind of thing a tree is: a list, an interval, an equation that states a value
    comparison      whether two trees are equal, whatever they are
    rules           the verdict on an answer
    votes           a text for each value, by which votes are counted

What is not read here is left to math-verify (worker.py).
"""

from .characters import plain
from .rules import grade
from .votes import key
