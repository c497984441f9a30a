"""Whether a header says that its picture is not a cervical spine."""

import re

from pydicom._uid_dict import UID_dictionary

from cspine.decoding.attributes import Attributes

# Modalities that never are a radiograph or a slice of the neck
OTHER_MODALITIES = {"MG", "IO", "PX", "US", "IVUS", "ES", "OP", "OPT", "SM", "GM", "BMD", "ECG"}

# The same by (0008,0016) *SOP Class UID*, for where the modality is missing
_OTHER_CLASSES = re.compile(
    "Mammography|Intra-Oral|Ultrasound|Endoscop|Microscop|Ophthalmic|Dermoscopic|Breast|Intravascular"
)
OTHER_CLASSES = frozenset(
    uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class" and _OTHER_CLASSES.search(entry[0])
)

# Defined terms of (0018,0015) *Body Part Examined* (PS3.16 annex L) that lie elsewhere, compared without blanks;
# spine, neck, head-and-neck and whole-body terms are left out, since the neck may be in them
_TERMS = """
ABDOMEN ABDOMENPELVIS ABDOMINALAORTA ACJOINT ADRENAL ANKLE ANUS AORTA APPENDIX ARM ARMPIT AXILLA BLADDER BRAIN
BREAST BUTTOCK CALCANEUS CALF CARPUS CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE COCCYX COLON
CORONARYARTERY DUODENUM ELBOW EXTREMITY EYE FACE FEMUR FIBULA FINGER FOOT FOREARM GALLBLADDER HAND HEAD HEART
HEEL HIP HIPJOINT HUMERUS KIDNEY KNEE KUB LEG LIVER LLEG LOWERARM LOWERLEG LSPINE LSSPINE LUMBARSPINE LUNG
MANDIBLE MAXILLA METACARPUS METATARSUS NASALBONE NOSE ORBIT PANCREAS PATELLA PELVIS PENIS PROSTATE RADIUS RIB
RIBS SACRUM SCAPULA SCROTUM SHOULDER SIJOINT SINUS SKULL SPLEEN STERNUM STOMACH TARSUS TEETH THIGH THORAX THUMB
TIBIA TMJ TOE TOES TSPINE THORACICSPINE TLSPINE ULNA UPPERARM UPPERLEG URETHRA UTERUS VAGINA WRIST
"""
OTHER_PARTS = frozenset(_TERMS.split())
_SIDE = re.compile(r"^(?:LEFT|RIGHT|BILATERAL|BOTH|LT|RT)(?=.)|(?:LEFT|RIGHT|BILATERAL|BOTH)$")
_NOTHING = {"UNKNOWN", "UNSPECIFIED", "OTHER", "NONE", "NA", "DEFAULT"}
_VIEW = re.compile(r"(?:AP|PA|LAT|LATERAL|OBL|OBLIQUE|VIEW|2V|3V)+$")

# Named by many machines for a film of the neck; then a description that says so is believed
NEAR_PARTS = {"HEAD", "EXTREMITY"}
_NECK = re.compile(r"CERVICAL|\bC[- ]?SPINE|\bNECK\b|\bHWS\b|HALSWIRBEL|\bATLAS\b|\bDENS\b|ODONTOID")

# What is written freely is believed to mean another part only where no attribute names one
DESCRIPTIONS = ("StudyDescription", "SeriesDescription", "ProtocolName")
_OTHER_WORDS = re.compile(
    r"\b(?:CHEST|THORAX|HANDS?|WRISTS?|FOREARM|ELBOW|HUMERUS|SHOULDERS?(?! DOWN)|CLAVICLE|FOOT|FEET|ANKLES?|KNEES?"
    r"|TIBIA|FEMUR|HIPS?|PELVIS|ABDOMEN|SKULL|MAMMO\w*|BREASTS?|FINGERS?|TOES?|PATELLA|CALCANEUS|LUMBAR)\b"
)
_NECK_WORDS = re.compile(r"CERV|NECK|SPINE|\bHWS\b|HALS|ATLAS|DENS\b|ODONTOID|RACHIS|COLUMN|WHOLE|TRAUMA")


def says_elsewhere(attributes: Attributes) -> bool:
    """Say whether the header excludes a cervical spine; an unknown or absent part says nothing.

    Looked at are (0008,0060) *Modality*, (0008,0016) *SOP Class UID*, (0018,0015) *Body Part Examined* and (0008,2218)
    *Anatomic Region Sequence*. The words of `DESCRIPTIONS` decide where neither of the last two names a part, and where
    what they name is next to the neck or says little.
    """
    if attributes.code("Modality").upper() in OTHER_MODALITIES or attributes.code("SOPClassUID") in OTHER_CLASSES:
        return True
    words = " ".join(map(attributes.code, DESCRIPTIONS)).upper().replace("_", " ")
    regions = (item.code("CodeMeaning") for item in attributes.items("AnatomicRegionSequence"))
    parts = [re.sub(r"[^A-Z0-9]", "", part.upper()) for part in (attributes.code("BodyPartExamined"), *regions)]
    if named := [part for part in parts if part and part not in _NOTHING]:
        near = NEAR_PARTS.issuperset(named) and _NECK.search(words)
        return all(map(_is_other, named)) and not near
    return bool(_OTHER_WORDS.search(words)) and not _NECK_WORDS.search(words)


def _is_other(part: str) -> bool:
    part = _SIDE.sub("", part)
    return part in OTHER_PARTS or _VIEW.sub("", part) in OTHER_PARTS
