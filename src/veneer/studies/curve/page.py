from veneer.report.section import Section
from markupsafe import Markup
SECTION = Section("curve","Skill by number of examples","Curve",lambda part: bool(part.of("curve")),lambda part: Markup(""),("curve",),rank=15)
