"""Problems about molecules whose answers a cheminformatics library computes. The library is named in no prompt: whether
a model finds it by itself is what they are for.

Each question has one answer under the definition that it states. A molecule for which two definitions in use differ,
or whose value lies near a rounding border, is not asked about.

Usage: chemistry.py [--seed N] [--split any|training|held_out]
"""

import argparse
import re
import sys
from collections import namedtuple

try:
    from rdkit import Chem
    from rdkit.Chem import Crippen, Descriptors, EnumerateStereoisomers, rdMolDescriptors
except ImportError:
    sys.exit("rdkit is not installed here; run `make tasks` once")

from molecules import all_molecules
from serving import Draws, is_held_out, serve, wordings

# asked: what is asked for, in two ways. rule: the definition or the rounding, a sentence; may be empty.
# answer: of a molecule, a text; None where the question has no one answer.
Property = namedtuple("Property", "name asked rule answer")

WEIGHTS = {"C": 12.011, "O": 15.999, "N": 14.007, "H": 1.008}
WORDINGS = (
    "What is {asked} of {molecule}? {rule}",
    "Determine {asked} of {molecule}. {rule}",
    "Consider {molecule}. {rule} What is {asked}?",
    "A chemist has a sample of {molecule} and wants to know {asked}. {rule} Give that value.",
    "For {molecule}, calculate {asked}. {rule}",
    "Here is a compound: {molecule}. Find {asked}. {rule}",
    "A data sheet on {molecule} leaves a blank for {asked}. {rule} What belongs there?",
    "You are asked to tabulate {asked}. {rule} Which entry does {molecule} get?",
)


def rounded(value, digits):
    """The value with so many digits after the point; None near a border, where other atomic weights would round
    elsewhere."""
    scaled = abs(value) * 10 ** digits % 1
    return None if abs(scaled - 0.5) < 0.1 else "%.*f" % (digits, value)


def atoms(molecule, test):
    return str(sum(1 for atom in molecule.GetAtoms() if test(atom)))


def same(*values):
    """The value, where all ways to compute it agree."""
    return str(values[0]) if len(set(values)) == 1 else None


def donors(molecule):
    own = sum(1 for atom in molecule.GetAtoms() if atom.GetSymbol() in "NOS" and atom.GetTotalNumHs() > 0)
    return same(own, rdMolDescriptors.CalcNumHBD(molecule))


def rotatable(molecule):
    kinds = rdMolDescriptors.NumRotatableBondsOptions
    return same(*(rdMolDescriptors.CalcNumRotatableBonds(molecule, kind) for kind in (kinds.Strict, kinds.NonStrict)))


def stereocentres(molecule):
    return same(*(len(Chem.FindMolChiralCenters(molecule, includeUnassigned=True, useLegacyImplementation=legacy))
                  for legacy in (False, True)), rdMolDescriptors.CalcNumAtomStereoCenters(molecule))


def mass_percent(symbol):
    def answer(molecule):
        count = sum(1 for atom in Chem.AddHs(molecule).GetAtoms() if atom.GetSymbol() == symbol)
        return rounded(100 * count * WEIGHTS[symbol] / Descriptors.MolWt(molecule), 1) if count else None
    return answer


def unsaturation(molecule):
    count = {}
    for atom in Chem.AddHs(molecule).GetAtoms():
        count[atom.GetSymbol()] = count.get(atom.GetSymbol(), 0) + 1
    if set(count) - set("CHNOFS") - {"Cl", "Br"} or any(atom.GetTotalValence() > 4 for atom in molecule.GetAtoms()):
        return None
    twice = 2 * count.get("C", 0) + 2 + count.get("N", 0)
    twice -= sum(count.get(symbol, 0) for symbol in ("H", "F", "Cl", "Br"))
    return str(twice // 2) if twice % 2 == 0 else None


def wiener(molecule):
    return str(int(round(Chem.GetDistanceMatrix(molecule).sum() / 2)))


def stereoisomers(molecule):
    if rdMolDescriptors.CalcNumBridgeheadAtoms(molecule):
        return None  # a cage does not let each of its atoms take either form
    options = EnumerateStereoisomers.StereoEnumerationOptions(unique=True, onlyUnassigned=False)
    isomers = list(EnumerateStereoisomers.EnumerateStereoisomers(molecule, options=options))
    counted = same(len(isomers), EnumerateStereoisomers.GetStereoisomerCount(molecule, options=options),
                   2 ** len(list(Chem.FindPotentialStereo(molecule))))
    return None if counted == "1" else counted


ONE_DECIMAL, TWO_DECIMALS = "Round to one decimal place.", "Round to two decimal places."
PROPERTIES = (
    Property("weight", ("the average molecular weight in g/mol", "the molar mass in grams per mole"), ONE_DECIMAL,
             lambda m: rounded(Descriptors.MolWt(m), 1)),
    Property("exact-mass", ("the monoisotopic mass in daltons",
                            "the exact mass in daltons, with every atom its most abundant isotope"), TWO_DECIMALS,
             lambda m: rounded(Descriptors.ExactMolWt(m), 2)),
    Property("formula", ("the molecular formula", "the sum formula"),
             "Use no markup. Write the elements in Hill order: carbon, hydrogen, then the others by alphabet.",
             lambda m: None if Chem.GetFormalCharge(m) else rdMolDescriptors.CalcMolFormula(m)),
    Property("rings", ("the number of rings", "the ring count"), "Count the smallest set of smallest rings.",
             lambda m: same(rdMolDescriptors.CalcNumRings(m), m.GetNumBonds() - m.GetNumAtoms() + 1)),
    Property("aromatic-rings", ("the number of aromatic rings", "the aromatic ring count"),
             "Count each ring of a fused system by itself.",
             lambda m: str(rdMolDescriptors.CalcNumAromaticRings(m))),
    Property("donors", ("the number of hydrogen-bond donors", "the hydrogen-bond donor count"),
             "A donor is a nitrogen, oxygen or sulfur atom that bears at least one hydrogen.", donors),
    Property("nitrogen-oxygen", ("the number of hydrogen-bond acceptors by Lipinski's definition",
                                 "Lipinski's hydrogen-bond acceptor count"),
             "Lipinski counts every nitrogen and every oxygen atom.",
             lambda m: same(int(atoms(m, lambda a: a.GetSymbol() in "NO")), rdMolDescriptors.CalcNumLipinskiHBA(m))),
    Property("rotatable", ("the number of rotatable bonds", "the rotatable bond count"),
             "Count single bonds outside rings between heavy atoms that each have another heavy neighbour; leave out "
             "amide C-N bonds and bonds to an atom of a triple bond.", rotatable),
    Property("stereocentres", ("the number of tetrahedral stereocentres", "the stereocentre count"),
             "Count assigned and unassigned ones.", stereocentres),
    Property("stereoisomers", ("the number of stereoisomers", "the count of distinct stereoisomers"),
             "Let every stereocentre and every stereogenic double bond take either form, whatever is drawn or named.",
             stereoisomers),
    Property("heavy-atoms", ("the number of heavy atoms", "the count of non-hydrogen atoms"), "",
             lambda m: str(m.GetNumHeavyAtoms())),
    Property("all-atoms", ("the total number of atoms per molecule", "the atom count per molecule"),
             "Hydrogens count too.",
             lambda m: str(Chem.AddHs(m).GetNumAtoms())),
    Property("hydrogens", ("the number of hydrogen atoms per molecule", "the hydrogen count per molecule"), "",
             lambda m: same(sum(atom.GetTotalNumHs() for atom in m.GetAtoms()),
                            Chem.AddHs(m).GetNumAtoms() - m.GetNumAtoms())),
    Property("heteroatoms", ("the number of heteroatoms", "the heteroatom count"),
             "A heteroatom is any atom other than carbon and hydrogen.",
             lambda m: str(rdMolDescriptors.CalcNumHeteroatoms(m))),
    Property("tpsa", ("the topological polar surface area in square angstroms", "the TPSA in square angstroms"),
             "Use Ertl's contributions of nitrogen and oxygen. " + ONE_DECIMAL,
             lambda m: rounded(rdMolDescriptors.CalcTPSA(m), 1)),
    Property("logp", ("the Wildman-Crippen estimate of logP",
                      "the octanol-water partition coefficient (logP) by Wildman and Crippen's atom contributions"),
             TWO_DECIMALS, lambda m: rounded(Crippen.MolLogP(m), 2)),
    Property("refractivity", ("the Wildman-Crippen estimate of the molar refractivity",
                              "the molar refractivity by Wildman and Crippen's atom contributions"), TWO_DECIMALS,
             lambda m: rounded(Crippen.MolMR(m), 2)),
    Property("sp3", ("the fraction of carbon atoms that are sp3-hybridised", "the Fsp3 value"), TWO_DECIMALS,
             lambda m: rounded(rdMolDescriptors.CalcFractionCSP3(m), 2)),
    Property("unsaturation", ("the degree of unsaturation", "the number of rings plus pi bonds by the formula"),
             "Derive it from the molecular formula, with nitrogen as trivalent and sulfur as divalent.", unsaturation),
    Property("electrons", ("the number of valence electrons", "the total count of valence electrons"),
             "Count those of all atoms, hydrogens included.", lambda m: str(Descriptors.NumValenceElectrons(m))),
    Property("carbon-percent", ("the mass percentage of carbon", "the share of carbon by mass, in percent"),
             ONE_DECIMAL, mass_percent("C")),
    Property("oxygen-percent", ("the mass percentage of oxygen", "the share of oxygen by mass, in percent"),
             ONE_DECIMAL, mass_percent("O")),
    Property("wiener", ("the Wiener index", "the Wiener number"),
             "Add the shortest distances, in bonds, over all pairs of heavy atoms.", wiener),
)


def parsed(entry):
    """The molecule, checked against the formula that was written down for it."""
    molecule = Chem.MolFromSmiles(entry.smiles)
    if molecule is None:
        raise ValueError("%s: %s is no SMILES string" % (entry.name, entry.smiles))
    formula = rdMolDescriptors.CalcMolFormula(molecule)
    if entry.formula and not same_formula(formula, entry.formula):
        raise ValueError("%s: %s is %s, not %s" % (entry.name, entry.smiles, formula, entry.formula))
    return molecule


def same_formula(one, other):
    def counts(formula):
        return sorted((symbol, count or "1") for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula))
    return counts(one) == counts(other)


class Chemistry:
    def __init__(self, seed, split):
        self.seed, self.split = seed, split
        entries = list(all_molecules())
        self.named = [entry for entry in entries if entry.name]
        self.built = [entry for entry in entries if not entry.name]
        self.problems, self.seen = [], set()

    def problem(self, index):
        while len(self.problems) <= index:
            self.problems.append(self.next_problem(len(self.problems)))
        return self.problems[index]

    def next_problem(self, index):
        kind = PROPERTIES[index % len(PROPERTIES)]
        for attempt in range(5000):
            draws = Draws("chemistry", self.seed, self.split, index, attempt)
            entry = draws.choice(self.named if draws.below(2) else self.built)
            problem = self.asked(kind, entry, draws)
            if problem and problem["id"] not in self.seen:
                self.seen.add(problem["id"])
                return problem
        raise SystemExit("problem %d: no further molecule to ask about; ask for fewer problems" % index)

    def asked(self, kind, entry, draws):
        """A problem; None where the molecule is of the other split or has no one answer."""
        molecule = parsed(entry)
        smiles = Chem.MolToSmiles(molecule)
        if self.split != "any" and is_held_out("chemistry", smiles) != (self.split == "held_out"):
            return None
        answer = kind.answer(molecule)
        if answer is None or float_or_one(answer) == 0:
            return None  # "none at all" is too easily guessed
        by_name = entry.name and draws.below(2)
        shown = entry.name if by_name else draws.choice(
            ("the molecule with the SMILES string %s", "the compound whose SMILES is %s")) % smiles
        text = draws.choice(wordings(WORDINGS, self.split)).format(
            asked=draws.choice(kind.asked), rule=kind.rule, molecule=shown)
        text = " ".join(text.split())
        if tells(text, answer):
            return None
        return {"id": "chemistry-%s-%s" % (kind.name, entry.name if by_name else smiles), "problem": text,
                "answer": answer, "source": "martlet/chemistry/" + kind.name}


def float_or_one(answer):
    try:
        return float(answer)
    except ValueError:
        return 1.0


def tells(text, answer):
    """Whether the answer stands in the prompt as a word of its own."""
    return re.search(r"(?<![\w.])%s(?![\w]|\.\d)" % re.escape(answer), text) is not None


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--split", choices=("any", "training", "held_out"), default="any")
    options = options.parse_args()
    serve(Chemistry(options.seed, options.split))
