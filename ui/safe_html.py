"""Which HTML may reach the page from a text that a person or a model wrote. What is not named here is taken out."""

import nh3
from markupsafe import Markup


def _names(*lines: str) -> set[str]:
    return set(" ".join(lines).split())


SCHEMES = {"http", "https", "mailto"}
TEXT = _names("p br hr h3 h4 h5 h6 ul ol li blockquote em strong s code pre a div span button")
TABLES = _names("table thead tbody tr th td")
FORMULAS = _names(
    "math mrow mi mn mo mtext mspace msup msub msubsup mfrac msqrt mroot mover munder munderover mtable mtr mtd",
    "mstyle mpadded mphantom menclose mmultiscripts mprescripts",
)
OF_FORMULAS = _names(
    "accent columnalign columnspacing depth display displaystyle fence form height linethickness lspace mathvariant",
    "maxsize minsize notation rowspacing rspace scriptlevel separator stretchy width",
)
SANITISER = nh3.Cleaner(
    tags=TEXT | TABLES | FORMULAS,
    attributes={
        "a": {"href", "title"},
        "button": {"type"},
        "code": {"dir"},
        "div": {"dir", "tabindex"},
        "ol": {"start"},
        "pre": {"tabindex"},
        "span": {"dir", "title"},
        "td": {"style"},
        "th": {"style"},
        **dict.fromkeys(FORMULAS, OF_FORMULAS),
    },
    filter_style_properties={"text-align"},
    allowed_classes={
        "button": {"copy"},
        "div": {"above", "code", "wide"},
        "p": {"as-written"},
        "span": {"address", "display", "formula", "picture"},
    },
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)


def safe(html: str) -> Markup:
    """Return HTML of which only what is named above is left, as what a template need not escape."""
    return Markup(SANITISER.clean(html.encode(errors="replace").decode()))  # half a pair of UTF-16 is no text
