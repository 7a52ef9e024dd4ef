"""English words that deny, that are one of a pair of opposites, that mean the same as another, or that say nothing.

A line is ``forms = parts``: forms with commas between, parts with spaces. Of parts, ``!`` denies, ``axis:value`` is a
pole of an axis (``~`` before it: a pole that says little on its own), ``-`` is nothing, and a word is a concept.
"""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

WORDS = """
# denials
not, n't, never, cannot, can't, cant, don't, doesn't, didn't, isn't, aren't, wasn't, weren't, won't, shouldn't, mustn't, needn't, couldn't, wouldn't, hasn't, haven't, hadn't, mayn't = !
no, none, neither, nor, nothing, nobody, without, free of, free from, devoid of = !
lack, lacks, lacking, lacked, absence, absent, lack of, absence of = !
fail to, fails to, failed to, failing to, unable to, inability to = !
avoid, avoids, avoided, avoiding, avoidance, contraindicated, contraindication, contraindications, contra-indicated, forbidden, prohibited, banned, off-limits = !
refrain, refrains, inadvisable, unadvisable, discouraged, denies, denied, deny, denying, ruled out, rules out, rule out, excludes, excluded = !
those without, patients without, people without, women without, men without, children without, individuals without, subjects without, adults without, cases without, persons without = group:without
no longer, not yet = !
no evidence that, no evidence for, no evidence of, no evidence, no proof that, no proof = !
not only, not just, no wonder, without delay, not least, no matter, no doubt, no sooner, not all, not always, not necessarily, not every, with or without, whether or not, if not, not sure, not known, no evidence either way, not to mention, no one = -
not uncommon, not uncommonly, not infrequent, not infrequently, not rare, not rarely, not unusual, not unusually = ~often:+
# concepts with a denial inside
safe, safely, safety, harmless = safe
unsafe, dangerous, hazardous, harmful, unsafely = ! safe
effective, effectively, works, work, working, efficacious, efficacy, effectiveness = effective
ineffective, useless, ineffectual, ineffectively = ! effective
normal, normally = normal
abnormal, abnormally, deranged = ! normal
possible, possibly = possible
impossible = ! possible
necessary, need, needs, needed, required, require, requires, requirement, necessity, necessitate = ~need
unnecessary, needless, unneeded = ! ~need
symptom, symptoms, symptomatic = symptom
asymptomatic, symptom-free, symptomless = ! symptom
pain, painful, pains = pain
painless, pain-free = ! pain
positive, positivity, seropositive, present, presence = positive
negative, negativity, seronegative, negative for = ! positive
sensitive, susceptible = sensitive
sensitivity = sensitivity
resistant, insensitive = ! sensitive
resistance = resistance
fever, febrile, feverish = fever
afebrile, fever-free, apyrexial = ! fever
drug-free = ! drug
gluten-free = ! gluten
sugar-free = ! sugar
smoke-free = ! smoke
odourless, odorless = ! smell
colourless, colorless = ! colour
sterile = ! positive
invisible = ! visible
# opposites: more and less
increase, increases, increased, increasing, raise, raises, raised, raising, rise, rises, rising, rose, elevate, elevates, elevated, elevating, elevation, high, higher, highest, heighten, heightens, heightened, boost, boosts, boosted, gain, gains, more, greater, upregulates, accelerate, accelerates, accelerated, speeds up, excess, excessive, enlarge, enlarges, enlarged, enlargement, enlarging, expand, strengthen, strengthens, strengthened, prolong, prolongs, prolonged, prolongation, lengthens, lengthened = dir:+
decrease, decreases, decreased, decreasing, lower, lowers, lowered, lowering, lowest, low, reduce, reduces, reduced, reducing, reduction, fall, falls, fell, falling, drop, drops, dropped, decline, declines, declined, diminish, diminishes, diminished, lessen, lessens, less, fewer, downregulates, depress, slow, slows, slowed, slowing, slower, decelerates, shrink, shrinks, shrunken, loss, lose, loses, weaken, weakens, weakened, shorten, shortens, shortened, shortening, deficient, deficiency = dir:-
more common, more commonly, more often, more likely, more frequent, more frequently, likelier, commoner = dir:+ likely
less common, less commonly, less often, less likely, less frequent, less frequently = dir:- likely
tachycardia, tachycardic = dir:+ heartrate
bradycardia, bradycardic = dir:- heartrate
heart rate, pulse rate, resting pulse, pulse, heartbeat = heartrate
tachypnoea, tachypnea = dir:+ breathing
bradypnoea, bradypnea = dir:- breathing
leukocytosis, leucocytosis = dir:+ leukocyte
leukopenia, leucopenia = dir:- leukocyte
thrombocytosis = dir:+ platelet
thrombocytopenia = dir:- platelet
neutrophilia = dir:+ neutrophil
neutropenia, neutropenic = dir:- neutrophil
polyuria = dir:+ urine
oliguria, anuria = dir:- urine
acidosis, acidic, acidity, acidaemia, acidify, acidifies = acid:+
alkalosis, alkaline, alkalaemia, alkalinity, alkalinises, alkalinizes = acid:-
eye drops, ear drops, nose drops, nasal drops = drops
higher than, greater than, more than, larger than, longer than, stronger than, faster than, heavier than = dir:+ >
lower than, less than, smaller than, shorter than, weaker than, slower than, lighter than, fewer than = dir:- >
# opposites: better and worse, on and off
improve, improves, improved, improvement, relieve, relieves, relieved, alleviates, alleviate, eases, ease, better = outcome:+
worsen, worsens, worsened, worsening, aggravate, aggravates, aggravated, exacerbate, exacerbates, deteriorate, deteriorates, worse = outcome:-
activate, activates, activated, activation, stimulate, stimulates, stimulated, stimulation, stimulating, excite, excites, promote, promotes, promoting, promoted, enhance, enhances, agonist, agonists, induces enzymes = act:+
inhibit, inhibits, inhibited, inhibition, suppress, suppresses, suppressed, suppression, block, blocks, blocked, blocking, depresses, antagonist, antagonists, antagonises, antagonizes, impede, impedes = act:-
beta blocker, beta blockers, beta-blocker, beta-blockers = betablocker
cause, causes, caused, causing, lead to, leads to, led to, induce, induces, induced, trigger, triggers, triggered, produce, produces, provoke, provokes, result in, results in = ~cause:+
prevent, prevents, prevented, preventing, prevention, protect, protects, protected, protective, protects against = ~cause:-
continue, continues, continued, continuing, keep taking, carry on = cont:+
unknown = unknown
stop, stops, stopped, stopping, discontinue, discontinued, discontinuing, cessation, quitting, quit, quits, giving up, abstinence, withhold, withheld, withdraw, cease = cont:-
dilate, dilates, dilated, dilation, dilatation, vasodilation, relax, relaxes, relaxation, relaxed, mydriasis, bronchodilation = dilate:+
constrict, constricts, constricted, constriction, vasoconstriction, contract, contracts, contraction, miosis, bronchoconstriction, narrows = dilate:-
benign = malign:-
malignant, malignancy, cancerous = malign:+
dominant, dominantly = gene:dominant
recessive, recessively = gene:recessive
open, opens, opened = open:+
close, closes, closed, closure, shut = open:-
absorb, absorbs, absorbed, absorption, reabsorb, reabsorbs, reabsorption, retain, retains, retention, retained = keep:+
excrete, excretes, excreted, excretion, eliminate, eliminates, secrete, secretes, secreted = keep:-
agree, benefit, benefits, beneficial = ~benefit
hot, warm, heat = heat:+
cold, cool, cooling, ice = heat:-
thick, thickened, thickening = thick:+
thin, thinned, thinning = thick:-
true, correct, right that = true
false, untrue, incorrect, wrong, myth = ! true
reversible, reversibly = reversible
curable = cure
contagious, infectious, transmissible = infectious
alive, live vaccine, live-attenuated, live = live
dead, killed, inactivated, non-live = ! live
common, frequent, usual = often:+
uncommon, infrequent, unusual = ! often:+
rare, scarce = often:-
often, frequently, commonly, most often = ~often:+
most patients, most people, most cases, most of, most women, most men, most children, most adults, the majority of, majority = ~quant:most
some patients, some people, some cases, some of, some women, some men, some children, some adults, some, a few, few, several, a minority of, sometimes, occasionally, in some = ~quant:some
all patients, all people, all cases, all of, every patient = ~quant:all
rarely, seldom, hardly ever, hardly, scarcely, infrequently, uncommonly = ~often:-
always, invariably = ~always:+
# sides
to the left of, left of, on the left of = lat:left >
to the right of, right of, on the right of = lat:right >
left, left-sided, leftward, left-hand, left side, on the left side = lat:left
right, right-sided, rightward, right-hand, right side, on the right side = lat:right
left her, left him, left them, left it, left with, has left, have left, had left, is left, are left, was left, were left, left out, left the hospital, left behind, left untreated, left alone = -
right away, right now, right after, right before, all right, right amount, right dose, right answer, right time = -
bilateral, bilaterally, both sides, both, two-sided, on both sides = lat:both
unilateral, unilaterally, one-sided, one side, only one side, on one side = lat:one
upper, superior, uppermost, top = vert:+
inferior, bottom, lowermost = vert:-
above = vert:+ >
below, beneath, underneath = vert:- >
proximal, proximally = prox:+
distal, distally = prox:-
in front of, anterior to, ventral to = ap:+ >
behind, posterior to, dorsal to = ap:- >
proximal to = prox:+ >
distal to = prox:- >
medial to = med:+ >
lateral to = med:- >
superior to = vert:+ >
inferior to = vert:- >
anterior, anteriorly, front, ventral, ventrally = ap:+
posterior, posteriorly, dorsal, dorsally = ap:-
medial, medially = med:+
lateral, laterally = med:-
inner, internal, internally, inside, endogenous, intracellular = io:+
outer, external, externally, outside, exogenous, extracellular = io:-
superficial, superficially, shallow = depth:-
deep, deeply = depth:+
systolic, systole = phase:systolic
diastolic, diastole = phase:diastolic
arterial, artery, arteries, arteriolar = vessel:arterial
venous, vein, veins = vessel:venous
atrial, atrium, atria = chamber:atrial
ventricular, ventricle, ventricles = chamber:ventricular
sensory = nerve:sensory
motor = nerve:motor
afferent = ferent:in
efferent = ferent:out
sympathetic = auto:sympathetic
parasympathetic = auto:parasympathetic
central, centrally = central:+
peripheral, peripherally = central:-
inhale, inhales, inhaled breath, inspiration, inspiratory, breathing in, breathe in = breath:in
exhale, exhales, expiration, expiratory, breathing out, breathe out = breath:out
flexion, flexes, flexed, flexor = flex:+
extension, extends, extended, extensor = flex:-
supine, on the back, face up = lie:back
prone, face down, on the stomach = lie:front
cranial, rostral = cran:+
caudal = cran:-
maternal, mother's = parent:mother
paternal, father's = parent:father
dominant hand = -
# order in time
before, prior to, ahead of, precede, precedes, preceded, preceding = order:before >
after, following, follow, follows, followed, subsequent to, once past = order:after >
followed by, and then, then = order:before >
during, throughout = order:during >
preoperative, preoperatively, pre-operative, preop = order:before surgery
postoperative, postoperatively, post-operative, postop = order:after surgery
intraoperative, intraoperatively = order:during surgery
prenatal, prenatally, antenatal, antenatally, antepartum = order:before birth
postnatal, postnatally, postpartum = order:after birth
premenopausal = order:before menopause
postmenopausal = order:after menopause
preprandial, before meals, before a meal, before food, before eating, before each meal, before the meal, empty stomach, on an empty stomach, fasting, fasted, without food, before breakfast, before lunch, before dinner = food:before
postprandial, after meals, after a meal, after food, after eating, after each meal, after the meal, with food, with meals, with a meal, with each meal, full stomach, on a full stomach, after breakfast, after lunch, after dinner, with breakfast, with the evening meal, with the main meal = food:after
with or without food, regardless of meals, regardless of food, with or without meals, independent of meals, before or after meals, before or after food = food:any
morning, mornings, on waking, in the morning = clock:morning
noon, midday, at noon = clock:noon
afternoon = clock:afternoon
evening, evenings, night, nights, bedtime, at night, nocturnal, night-time, nighttime, before bed, before bedtime, before sleep, before sleeping, before going to bed, at bedtime = clock:night
daytime, by day = clock:day
early, earlier, earliest = late:-
late, later, latest, delayed = late:+
first, firstly, initially, initial, beginning, at first = seq:first
last, lastly, finally, final, eventually = seq:last
immediately, at once, rapid, rapidly, fast, faster, quick, quickly, sudden, suddenly, short-acting, rapid-acting = speed:+
slowly, gradual, gradually, long-acting, slow-acting = speed:-
short-term = term:short
long-term = term:long
oldest, old, older, new, newer, the following = -
# who or what kind: a difference here means that two texts speak of different things
child, children, paediatric, pediatric, childhood, schoolchild = who:child
boy, boys = who:child sex:male
girl, girls = who:child sex:female
infant, infants, baby, babies, toddler, toddlers = who:infant
newborn, newborns, neonate, neonates, neonatal = who:newborn
adult, adults, adulthood = who:adult
elderly, older people, older adults, old age, older patients, the elderly = who:old
adolescent, adolescents, teenager, teenagers = who:teen
man, men, male, males = sex:male
woman, women, female, females = sex:female
pregnant, pregnancy, gestation, gestational = pregnancy
breastfeeding, lactation, lactating, breast-feeding = lactation
mild, mildly = grade:mild
moderate, moderately = grade:moderate
severe, severely, serious = grade:severe
acute, acutely = course:acute
chronic, chronically = course:chronic
starting, start, starts, started, begin, begins, began, begun, initiate, initiated, initiates, initial dose, starting dose, loading dose, loading = step:start
increased to, increase to, raised to, titrated to, titrated up to, escalated to, stepped up to = step:more
reduced to, reduce to, lowered to, tapered to, decreased to = step:less
maintenance, maintenance dose = step:keep
maximum, maximal, max, ceiling, the most = step:most
minimum, minimal, the least = step:least
oral, orally, by mouth = route:oral
intravenous, intravenously, iv, i.v = route:iv
intramuscular, intramuscularly, im, i.m = route:im
subcutaneous, subcutaneously = route:sc
topical, topically = route:topical
rectal, rectally = route:rectal
inhaled, by inhalation, nebulised, nebulized = route:inhaled
by injection, injected, injection, injections = route:injection
sublingual, sublingually, under the tongue = route:sublingual
transdermal, patch, patches = route:patch
# words that mean the same here
dose, doses, dosage, dosages, dosing = dose
people, person, persons, patient, patients, individual, individuals, case, cases, someone, anyone, sufferers = -
blood sugar, blood glucose, glucose, blood-glucose, glycaemia, glycemia, sugar level, plasma glucose = glucose
blood pressure, bp, arterial pressure = bloodpressure
systolic blood pressure, systolic pressure = phase:systolic bloodpressure
mean arterial pressure, mean blood pressure, map = phase:mean bloodpressure
diastolic blood pressure, diastolic pressure = phase:diastolic bloodpressure
paracetamol, acetaminophen = paracetamol
adrenaline, epinephrine = adrenaline
salbutamol, albuterol = salbutamol
body mass index, bmi = bmi
hba1c, glycated haemoglobin, glycated hemoglobin, a1c = hba1c
potassium, serum potassium, blood potassium, potassium level, kalaemia = potassium
sodium, serum sodium, blood sodium = sodium
kidney, kidneys, renal = kidney
liver, hepatic = liver
heart, cardiac = heart
lung, lungs, pulmonary = lung
stomach, gastric = stomach
brain, cerebral = brain
bone, bones = bone
stroke, strokes = stroke
surgery, operation, operations, surgical = surgery
birth, delivery, childbirth, born = birth
meal, meals, food, foods, eating = meal
breath, breathing, respiration = breathing
influenza, flu = influenza
heart attack, myocardial infarction = infarction
high blood pressure, hypertension, hypertensive = dir:+ bloodpressure
low blood pressure, hypotension, hypotensive = dir:- bloodpressure
hyperthyroidism, overactive thyroid = dir:+ thyroid
hypothyroidism, underactive thyroid = dir:- thyroid
disease, disorder, condition, illness = -
treat, treats, treated, treatment, treatments, therapy, treating, therapies = treat
# words that say nothing here
a, an, the, of, in, on, at, to, for, and, or, but, by, with, from, as, is, are, was, were, be, been, being, am, it, its, this, that, these, those, which, who, whom, whose, there, here, than, so, such, if, when, whenever, where, provided, once = -
he, she, they, you, we, i, him, her, them, us, me, his, their, your, our, my, one, ones, one's, itself, themselves = -
do, does, did, done, doing, has, have, had, having, can, could, may, might, must, shall, should, will, would, ought, let = -
take, takes, taken, taking, took, give, gives, given, giving, use, uses, used, using, administer, administers, administered, administration, receive, receives, get, gets, got, swallow, swallowed = -
recommend, recommends, recommended, recommendation, indicated, advised, advise, advisable, suggested, allowed, permitted, suitable, acceptable, ok, okay, fine, best, preferred, appropriate, well = -
usually, generally, typically, mainly, mostly, normally speaking, about, approximately, around, roughly, very, quite, also, only, just, even, still, already, too, most, much, many, any, all, every, each, per, other, another = -
please, note, least, beyond, because, since, although, though, however, therefore, thus, while, until, up, out, into, over, under, within, between, through, via, against, towards = -
make, makes, made, go, goes, come, comes, came, become, becomes, occur, occurs, occurring, found, find, finds, show, shows, showed, shown, seen, see, known, diagnosed, diagnose, diagnosis, study, studies, trial, trials, research, researchers, called, means, mean, meaning, defined, considered, regarded, said = -
amount, amounts, level, levels, value, values, number, total, range, ranges, time, times, once, twice, daily, weekly, day, days, hour, hours, week, weeks, month, months, year, years, minute, minutes, half, dose is = -
people with, patients with, in people with, part, parts, way, kind, form, forms, sort, own, same, divided, split, equal, equally, lasts, last for, lasting, stays, remain, remains = -
effect, effects, affect, affects, affected, influence, influences, impact = effect
risk, risks, chance, likelihood, probability, danger of = risk
adjustment, adjust, adjusted, adjusting, adjustments = adjust
infect, infection, infections, infected = infection
vaccine, vaccines, vaccination, vaccinations, vaccinated, vaccinate, immunisation, immunization, jab = vaccine
allergy, allergic, allergies, hypersensitivity = allergy
smoking, smoke, smokes, smoker, smokers, tobacco = smoke
alcohol, drinking, alcoholic, drink, drinks = alcohol
bleed, bleeds, bleeding, haemorrhage, hemorrhage, haemorrhages = bleeding
transmit, transmitted, transmits, transmission, passed on, pass on, spread, spreads, passes on = spread
child-pugh = childpugh
low-molecular-weight, low molecular weight heparin, low-molecular-weight heparin, lmwh = lmwh
common cold = commoncold
atrial fibrillation, af = atrial_fibrillation
heart failure = heart_failure
hepatitis b = hepatitis_b
folic acid, folate = folic_acid
side effect, side effects, adverse effect, adverse effects, adverse reaction, adverse reactions = sideeffect
"""

LOWER = (
    "quadrant limb limbs leg legs arm extremity extremities lobe lobes jaw lip back abdomen abdominal respiratory airway airways oesophagus esophagus oesophageal esophageal motor pole third half "
    "part end eyelid eyelids body gi gastrointestinal tract urinary segment teeth chest zone spine uterine border"
)
"""Where "lower" is the opposite of "upper", and not of "raise"."""
_LEVELS_LIST = """
risk risks dose doses dosage level levels rate rates incidence prevalence mortality pressure value values limit threshold target temperature
weight score number concentration than one ones chance price cost intensity frequency amount bound end-tidal income grade age
"""
LEVELS = frozenset(_LEVELS_LIST.split())
"""What is lower in size: after "the lower", anything else is lower in place."""

_BASES_LIST = """
stable likely able sufficient adequate appropriate suitable complete regular responsive tolerant compatible dependent invasive specific fatal
toxic operable palpable mature competent active continent mobile soluble permeable conscious healthy treated controlled complicated vaccinated
related changed affected equal protected recognised recognized detected detectable noticed impaired harmed injured damaged restricted limited
opposed important accurate reliable reversible curable infectious contagious pregnant smoker smokers hormonal diabetic obese addictive selective
steroidal opioid cancerous allergic reactive proven licensed approved willing usual even bearable tolerable avoidable predictable explained
diagnosed monitored supervised restrained intentional essential attended wanted desirable favourable favorable pleasant comfortable clear aware
certain visible visibly digestible direct human valid legal effective effectively sensitive frequent common commonly necessary safe normal
symptomatic typical septic possible proper perfect resistant bacterial viral malignant productive sedating drowsy inflammatory adherent compliant
"""
BASES = frozenset(_BASES_LIST.split())
"""What a prefix such as "un-", "in-" or "non-" denies."""
PREFIXES = ("non-", "non", "un", "in", "im", "ir", "il", "ab", "a", "dis")
_ROOTS_LIST = """
kal=potassium natr=sodium glyc=glucose calc=calcium magnes=magnesium phosphat=phosphate uric=urate therm=temperature ox=oxygen capn=carbondioxide
lipid=lipid cholesterol=cholesterol volaem=volume volem=volume tens=bloodpressure thyroid=thyroid parathyroid=parathyroid album=albumin
bilirubin=bilirubin ventil=ventilation reflex=reflex acti=activity troph=size plas=cells opi=sight tonic=tonicity secret=secretion gonad=gonad
pigment=pigment aldosteron=aldosterone prolactin=prolactin insulin=insulin coagul=clotting aem=blood osmol=osmolality chlor=chloride
ammon=ammonia triglycerid=triglyceride
"""
ROOTS = dict(pair.split("=") for pair in _ROOTS_LIST.split())
"""What "hyper-" and "hypo-" are more and less of."""
