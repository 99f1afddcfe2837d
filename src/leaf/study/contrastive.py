"""Do the originals that the student got wrong help? LeaF with and without them (Table 6)."""

from leaf.study.finding import Finding
from leaf.study.lab import Lab
from leaf.study.sweep import sweep


def contrastive(lab: Lab) -> Finding:
    """Train LeaF, and its KD, with and without them; the changed questions are the same."""
    return sweep(
        lab,
        study="contrastive-pairs",
        heading="student-wrong originals",
        settings={
            name: {"distill.student_wrong_originals": value}
            for name, value in (("with", True), ("without", False))
        },
        table="6",
        rows={"with": "with", "without": "without"},
        says=("Without them KD, too, trains on none of them.",),
    )
