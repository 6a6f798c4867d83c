"""The molecules that chemistry.py asks about: known ones by name, series whose names follow a rule, and scaffolds with
substituents, which have no name. The formula beside a SMILES string was written down independently of it, and a
molecule whose string gives another one is a mistake that `all_molecules` reports."""

from collections import namedtuple

# name: None where the molecule is given by its SMILES string alone. formula: None where none was written down.
Molecule = namedtuple("Molecule", "name smiles formula")

KNOWN = """
acetic acid|CC(=O)O|C2H4O2
acetone|CC(C)=O|C3H6O
acetonitrile|CC#N|C2H3N
acetylsalicylic acid (aspirin)|CC(=O)Oc1ccccc1C(=O)O|C9H8O4
adenine|Nc1ncnc2[nH]cnc12|C5H5N5
adenosine|Nc1ncnc2c1ncn2[C@@H]1O[C@H](CO)[C@@H](O)[C@H]1O|C10H13N5O4
L-alanine|C[C@H](N)C(=O)O|C3H7NO2
aniline|Nc1ccccc1|C6H7N
anthracene|c1ccc2cc3ccccc3cc2c1|C14H10
L-arginine|N[C@@H](CCCNC(=N)N)C(=O)O|C6H14N4O2
L-ascorbic acid (vitamin C)|OC[C@H](O)[C@H]1OC(=O)C(O)=C1O|C6H8O6
L-asparagine|NC(=O)C[C@H](N)C(=O)O|C4H8N2O3
L-aspartic acid|N[C@@H](CC(=O)O)C(=O)O|C4H7NO4
azulene|c1ccc2cccc2cc1|C10H8
benzaldehyde|O=Cc1ccccc1|C7H6O
benzene|c1ccccc1|C6H6
benzocaine|CCOC(=O)c1ccc(N)cc1|C9H11NO2
benzoic acid|O=C(O)c1ccccc1|C7H6O2
benzophenone|O=C(c1ccccc1)c1ccccc1|C13H10O
biphenyl|c1ccc(-c2ccccc2)cc1|C12H10
bisphenol A|CC(C)(c1ccc(O)cc1)c1ccc(O)cc1|C15H16O2
caffeine|Cn1c(=O)c2c(ncn2C)n(C)c1=O|C8H10N4O2
camphor|CC1(C)C2CCC1(C)C(=O)C2|C10H16O
capsaicin|COc1cc(CNC(=O)CCCC/C=C/C(C)C)ccc1O|C18H27NO3
chloroform|ClC(Cl)Cl|CHCl3
cinnamaldehyde|O=C/C=C/c1ccccc1|C9H8O
citric acid|O=C(O)CC(O)(CC(=O)O)C(=O)O|C6H8O7
coumarin|O=c1ccc2ccccc2o1|C9H6O2
cubane|C12C3C4C1C5C2C3C45|C8H8
curcumin (keto form)|COc1cc(/C=C/C(=O)CC(=O)/C=C/c2ccc(O)c(OC)c2)ccc1O|C21H20O6
L-cysteine|N[C@@H](CS)C(=O)O|C3H7NO2S
cytosine|Nc1cc[nH]c(=O)n1|C4H5N3O
diazepam|CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21|C16H13ClN2O
dibenzofuran|c1ccc2c(c1)oc1ccccc12|C12H8O
diclofenac|O=C(O)Cc1ccccc1Nc1c(Cl)cccc1Cl|C14H11Cl2NO2
diethyl ether|CCOCC|C4H10O
dimethyl sulfoxide|CS(C)=O|C2H6OS
dopamine|NCCc1ccc(O)c(O)c1|C8H11NO2
eugenol|C=CCc1ccc(O)c(OC)c1|C10H12O2
fluorobenzene|Fc1ccccc1|C6H5F
fluoxetine|CNCCC(Oc1ccc(C(F)(F)F)cc1)c1ccccc1|C17H18F3NO
furan|c1ccoc1|C4H4O
D-glucose (open chain)|O=C[C@H](O)[C@@H](O)[C@H](O)[C@H](O)CO|C6H12O6
L-glutamic acid|N[C@@H](CCC(=O)O)C(=O)O|C5H9NO4
glycerol|OCC(O)CO|C3H8O3
glycine|NCC(=O)O|C2H5NO2
guanine|Nc1nc2[nH]cnc2c(=O)[nH]1|C5H5N5O
L-histidine|N[C@@H](Cc1c[nH]cn1)C(=O)O|C6H9N3O2
hydroquinone|Oc1ccc(O)cc1|C6H6O2
ibuprofen|CC(C)Cc1ccc(C(C)C(=O)O)cc1|C13H18O2
imidazole|c1c[nH]cn1|C3H4N2
indole|c1ccc2[nH]ccc2c1|C8H7N
L-isoleucine|CC[C@H](C)[C@H](N)C(=O)O|C6H13NO2
isoniazid|NNC(=O)c1ccncc1|C6H7N3O
ketoprofen|CC(C(=O)O)c1cccc(C(=O)c2ccccc2)c1|C16H14O3
lactic acid|CC(O)C(=O)O|C3H6O3
L-leucine|CC(C)C[C@H](N)C(=O)O|C6H13NO2
lidocaine|CCN(CC)CC(=O)Nc1c(C)cccc1C|C14H22N2O
limonene|C=C(C)C1CC=C(C)CC1|C10H16
linalool|C=CC(C)(O)CCC=C(C)C|C10H18O
L-lysine|NCCCC[C@H](N)C(=O)O|C6H14N2O2
melatonin|COc1ccc2[nH]cc(CCNC(C)=O)c2c1|C13H16N2O2
menthol|CC1CCC(C(C)C)C(O)C1|C10H20O
metformin|CN(C)C(=N)NC(=N)N|C4H11N5
L-methionine|CSCC[C@H](N)C(=O)O|C5H11NO2S
methyl salicylate|COC(=O)c1ccccc1O|C8H8O3
morpholine|C1COCCN1|C4H9NO
naphthalene|c1ccc2ccccc2c1|C10H8
naproxen|COc1ccc2cc(C(C)C(=O)O)ccc2c1|C14H14O3
niacin (nicotinic acid)|O=C(O)c1cccnc1|C6H5NO2
nicotine|CN1CCCC1c1cccnc1|C10H14N2
nitrobenzene|O=[N+]([O-])c1ccccc1|C6H5NO2
oxalic acid|O=C(O)C(=O)O|C2H2O4
paracetamol|CC(=O)Nc1ccc(O)cc1|C8H9NO2
phenanthrene|c1ccc2c(c1)ccc1ccccc12|C14H10
phenol|Oc1ccccc1|C6H6O
L-phenylalanine|N[C@@H](Cc1ccccc1)C(=O)O|C9H11NO2
phenolphthalein|O=C1OC(c2ccc(O)cc2)(c2ccc(O)cc2)c2ccccc21|C20H14O4
piperidine|C1CCNCC1|C5H11N
procaine|CCN(CC)CCOC(=O)c1ccc(N)cc1|C13H20N2O2
L-proline|O=C(O)[C@@H]1CCCN1|C5H9NO2
propofol|CC(C)c1cccc(C(C)C)c1O|C12H18O
pyrene|c1cc2ccc3cccc4ccc(c1)c2c34|C16H10
pyridine|c1ccncc1|C5H5N
pyridoxine (vitamin B6)|Cc1ncc(CO)c(CO)c1O|C8H11NO3
pyrimidine|c1cncnc1|C4H4N2
pyrrole|c1cc[nH]c1|C4H5N
quinoline|c1ccc2ncccc2c1|C9H7N
resveratrol|Oc1ccc(/C=C/c2cc(O)cc(O)c2)cc1|C14H12O3
riboflavin (vitamin B2)|Cc1cc2nc3c(=O)[nH]c(=O)nc-3n(C[C@H](O)[C@H](O)[C@H](O)CO)c2cc1C|C17H20N4O6
salbutamol|CC(C)(C)NCC(O)c1ccc(O)c(CO)c1|C13H21NO3
salicylic acid|O=C(O)c1ccccc1O|C7H6O3
L-serine|N[C@@H](CO)C(=O)O|C3H7NO3
serotonin|NCCc1c[nH]c2ccc(O)cc12|C10H12N2O
styrene|C=Cc1ccccc1|C8H8
succinic acid|O=C(O)CCC(=O)O|C4H6O4
sulfanilamide|Nc1ccc(S(N)(=O)=O)cc1|C6H8N2O2S
tartaric acid|O=C(O)C(O)C(O)C(=O)O|C4H6O6
tetrahydrofuran|C1CCOC1|C4H8O
theobromine|Cn1cnc2c1c(=O)[nH]c(=O)n2C|C7H8N4O2
thiophene|c1ccsc1|C4H4S
L-threonine|C[C@@H](O)[C@H](N)C(=O)O|C4H9NO3
thymine|Cc1c[nH]c(=O)[nH]c1=O|C5H6N2O2
thymol|Cc1ccc(C(C)C)c(O)c1|C10H14O
toluene|Cc1ccccc1|C7H8
trimethoprim|COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC|C14H18N4O3
L-tryptophan|N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O|C11H12N2O2
L-tyrosine|N[C@@H](Cc1ccc(O)cc1)C(=O)O|C9H11NO3
uracil|O=c1cc[nH]c(=O)[nH]1|C4H4N2O2
urea|NC(N)=O|CH4N2O
L-valine|CC(C)[C@H](N)C(=O)O|C5H11NO2
vanillin|COc1cc(C=O)ccc1O|C8H8O3
warfarin|CC(=O)CC(c1ccccc1)c1c(O)c2ccccc2oc1=O|C19H16O4
xylitol|OC[C@H](O)[C@@H](O)[C@H](O)CO|C5H12O5
zidovudine|Cc1cn([C@H]2C[C@H](N=[N+]=[N-])[C@@H](CO)O2)c(=O)[nH]c1=O|C10H13N5O4
"""

STEMS = ("meth", "eth", "prop", "but", "pent", "hex", "hept", "oct", "non", "dec", "undec", "dodec")


def series():
    """Homologous series, whose names and strings follow from the number of carbons."""
    for carbons, stem in enumerate(STEMS, 1):
        chain = "C" * carbons
        if carbons >= 5:
            yield Molecule(stem + "ane", chain, "C%dH%d" % (carbons, 2 * carbons + 2))
        if carbons >= 3:
            yield Molecule("cyclo%sane" % stem, "C1%sC1" % ("C" * (carbons - 2)), "C%dH%d" % (carbons, 2 * carbons))
            yield Molecule(stem + "an-1-ol", chain + "O", "C%dH%dO" % (carbons, 2 * carbons + 2))
            yield Molecule(stem + "an-1-amine", chain + "N", "C%dH%dN" % (carbons, 2 * carbons + 3))
            yield Molecule(stem + "anoic acid", "C" * (carbons - 1) + "C(=O)O", "C%dH%dO2" % (carbons, 2 * carbons))
            yield Molecule("methyl %sanoate" % stem, "C" * (carbons - 1) + "C(=O)OC",
                           "C%dH%dO2" % (carbons + 1, 2 * carbons + 2))
        if carbons >= 4:
            yield Molecule(stem + "an-2-one", "C" * (carbons - 2) + "C(C)=O", "C%dH%dO" % (carbons, 2 * carbons))
            yield Molecule(stem + "-1-ene", "C=C" + "C" * (carbons - 2), "C%dH%d" % (carbons, 2 * carbons))
            yield Molecule(stem + "anenitrile", "C" * (carbons - 1) + "C#N", "C%dH%dN" % (carbons, 2 * carbons - 1))


SCAFFOLDS = (
    "c1cc({a})ccc1{b}", "c1cc({a})cc({b})c1", "n1cc({a})ccc1{b}", "c1cc2cc({a})ccc2cc1{b}", "O=C(N{a})c1ccc({b})cc1",
    "C1CN({a})CCN1{b}", "c1c({a})oc2cc({b})ccc12", "O=S(=O)(N{a})c1ccc({b})cc1", "C1CC({a})CCC1{b}",
    "c1ccc(cc1{a})Oc1ccccc1{b}", "c1c({a})sc({b})n1", "O=C1N({a})C(=O)c2cc({b})ccc12", "c1cc({a})ccc1C=Cc1ccc({b})cc1",
    "c1nc({a})nc({b})n1", "C1C2CC3CC1({a})CC({b})(C2)C3", "N({a})C(=O)C(Cc1ccccc1)NC(=O){b}",
)
SUBSTITUENTS = ("C", "CC", "C(C)C", "C1CC1", "C(C)(C)C", "CCO", "CCN(C)C", "CCOC", "CC(=O)O", "CC(N)=O", "Cc1ccccc1",
                "c1ccncc1", "CC(F)(F)F", "C1CCOC1", "CCCl", "c1ccc(F)cc1", "CC(C)O", "CCCC#N")


def built():
    """Scaffolds with two substituents each: no textbook lists them."""
    for scaffold in SCAFFOLDS:
        for a in SUBSTITUENTS:
            for b in SUBSTITUENTS:
                yield Molecule(None, scaffold.replace("{a}", shifted(a, 4)).replace("{b}", shifted(b, 6)), None)


def shifted(substituent, by):
    """The substituent with ring numbers that the scaffold does not use."""
    return "".join(str(int(sign) + by) if sign.isdigit() else sign for sign in substituent)


def all_molecules():
    """Every molecule once, in a fixed order."""
    for line in KNOWN.strip().splitlines():
        yield Molecule(*line.split("|"))
    yield from series()
    yield from built()
