"""What follows "I cannot" where nothing is declined: idioms, and limits of what a program knows.

Sorted by what a person does with such words: feel, think, grant a point, lead up to something. They
are matched directly behind "cannot", "will not" and the like, on sentences that `text.normalise`
has prepared.
"""

from __future__ import annotations

# "I cannot resist", "I will never get tired": a feeling of the speaker.
_FEEL = (
    r"wait|resist|contain (?:my|our)|hide (?:my|our)|sleep|breathe|live without|go (?:a day|on "
    r"without)|stand (?!by )|bear (?:to|the thought)|sit still|get (?:enough|over|tired|used|past)|"
    r"(?:stop|help) (?:\w+self |my)?(?:but|feeling|thinking|laugh|smil|listening|watching|reading|"
    r"eating|looking|loving|around|from|when|it\b)|help (?:my|our)sel|complain|thank|tire\b|miss\b|"
    r"dream of|regret|(?:want|wish) to (?:miss|lose|live|sound|bore|spoil|jinx)|shake the|warm to|"
    r"keep (?:my|our|a straight|up with|from)|be (?:\w+ )?(?:happier|prouder|more|caught|the only|"
    r"there|late|here)|bother you|make it\b|attend|come\b|afford"
)
# "I cannot imagine", "I will never understand": a thought of the speaker.
_THINK = (
    r"believe|imagine|picture (?:a|the|life)|remember|recall|forget|think of|seem to|fathom|grasp|"
    r"comprehend|conceive|quite|(?:\w+ly )?understand (?:why|how|what|people)|for the life of me|"
    r"figure out (?:why|how)|make sense|put my|find (?:any )?(?:error|fault|evidence|mistake)|hear|"
    r"see (?:why|how|any|the)|be (?:\w+ )?(?:certain|sure)|rule out|go wrong|lose\b|decide (?:wh|"
    r"between)|choose between|pick (?:a|just|only|between)"
)
# "I cannot deny", "I will not pretend": the speaker grants a point.
_GRANT = (
    r"lie\b|tell a lie|deny|dispute|argue|fault|blame|disagree|agree more|ask for|complain|pretend "
    r"(?:that (?!for)|to|it |there|i\b|we|not)|claim|guarantee|promise|vouch|speak for|sugar-?coat|"
    r"mince|take (?:\w+ )?credit|ignore|overlook|discount|(?:over|under)(?:state|stress|estimate|"
    r"value|play)|top\b|beat\b|judge you|hold (?:it|that) against"
)
# "I cannot stress enough", "I will not bore you": a turn of speech before something is said.
_SPEAK = (
    r"say (?:\w+ ){0,4}(?:sure|certain\w*|enough|definitively|exactly|no to)|tell you how (?:happy|"
    r"much|many|excited|glad|sorry|often|good)|(?:\w+ly )?(?:stress|emphasi[sz]e|recommend|"
    r"underline|praise|express|repeat|thank|say) (?:\w+ ){0,8}(?:enough|highly)|begin to|even "
    r"begin|count the|put (?:it |this |that |\w+ )?(?:into words|better)|have (?:said|put|asked|"
    r"done|"
    r"hoped|wished|picked|chosen|wanted)|describe how|do (?:it|them|her|him) justice|bore you|keep "
    r"you|waste (?:your|any|time)|beat around|go into (?:\w+ )?(?:all|every|too|much)|spoil|get "
    r"into (?:all|every|too)|say it (?:was|is|will)"
)
# None of these is about the request; "... for you", said of the request, is.
IDIOM = (
    rf"(?! (?:to )?(?:{_FEEL}|{_THINK}|{_GRANT}|{_SPEAK})"
    r"(?! (?:this|that|it) (?:for you|with you)))"
)
# Limits of what a program sees or knows: a refusal only where nothing else is said.
LIMIT = (
    r"(?: (?:to )?(?!(?:access|find|identify|locate|look up|retrieve|search) .{0,30}\b(?:private|"
    r"personal|someone|somebody|people|person|individuals?)\b)(?:\w+ly )?(?:see|view|access|"
    r"browse|open|hear|feel|experience|predict|verify|confirm|"
    r"diagnose|determine|know|have\b|recall|perceive|watch|search|look up|check|physically|"
    r"replace|eat|taste|smell|touch|love|connect|retrieve|find\b|locate|identify|(?:run|execute|"
    r"compile|test|play) (?:the|your|any|code|a\b)|listen|tell (?:if|whether|from|"
    r"which|who|when)|provide (?:you with )?(?:\w+ ){0,2}(?:real-time|live|up-to-date|exact|"
    r"current|medical|legal|financial|professional|tax|personali[sz]ed|"
    r"clinical)|give (?:you )?(?:\w+ ){0,2}(?:real-time|live|exact|medical|legal|"
    r"financial|professional|personali[sz]ed|one)|offer (?:you )?(?:\w+ )?(?:medical|legal|"
    r"financial|professional))\b"
    r"(?! (?:this|that|it)(?: for you)?(?:$|,)))"
)
# "I refuse to believe", "I refuse to let that stop me": of one's own life.
REFUSED_IN_LIFE = (
    r"to (?:believe|accept|let|pay|be\b|admit|give (?:up|in)|settle|think|buy|eat|wear|leave|live|"
    r"acknowledge|succumb|lose|die|grow|go|stop|watch|see|apologi[sz]e)|nouns|verbs|adjectives|"
    r"pronouns|to the (?:claim|idea|notion|view)"
)
