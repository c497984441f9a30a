"""Whether a header says that its picture is not a cervical spine."""

import re

# Modalities that never are a radiograph or a slice of the neck
OTHER_MODALITIES = {"MG", "IO", "PX", "US", "IVUS", "ES", "OP", "OPT", "SM", "GM", "BMD", "ECG"}

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
_SIDE = re.compile(r"^(?:LEFT|RIGHT|BILATERAL|BOTH|LT|RT)(?=.)")
_VIEW = re.compile(r"(?:AP|PA|LAT|LATERAL|OBL|OBLIQUE|VIEW|2V|3V)+$")


def says_elsewhere(modality: str, body_part: str) -> bool:
    """Say whether (0008,0060) *Modality* or the body part excludes a cervical spine; unknown or absent says nothing."""
    if modality.upper() in OTHER_MODALITIES:
        return True
    part = _SIDE.sub("", re.sub(r"[^A-Z0-9]", "", body_part.upper()))
    return part in OTHER_PARTS or _VIEW.sub("", part) in OTHER_PARTS
