"""A small project of every kind of task, with what a perfect annotator would answer."""

import base64
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from labelloop.labelstudio import LabelStudio
from support.medical import dicom, nifti

Answer = list[dict[str, Any]]
Item = tuple[dict[str, Any], Answer]

SIDE = 96
SHADES = {"light": (250, 240, 60), "dark": (20, 10, 70)}
PEOPLE, PLACES = ["Anna", "Boris", "Chloé", "Dmitri"], ["Paris", "Lagos", "Kyoto", "Lima"]
FRENCH = {"red": "rouge", "green": "vert", "blue": "bleu", "house": "maison", "tree": "arbre", "boat": "bateau"}


@dataclass(frozen=True)
class Made:
    """A kind of project.

    Attributes:
        config: its label config.
        control: the control that is looked at.
        item: data and answer of the task of a number.
    """

    config: str
    control: str
    item: Callable[[int], Item]


@dataclass
class KindJob:
    """A project in Label Studio with its answers by task id."""

    label_studio: LabelStudio
    project_id: int
    made: Made
    truth: dict[int, Answer] = field(default_factory=dict)
    config: str = ""

    def __post_init__(self) -> None:
        self.config = self.made.config

    @property
    def control(self) -> str:
        return self.made.control

    def answer_served(self, count: int) -> list[int]:
        """Answer the tasks Label Studio serves, in its order."""
        done = []
        for _ in range(count):
            task = self.label_studio.next_task(self.project_id)
            assert task is not None, "the queue ran dry"
            self.label_studio.annotate(task["id"], self.truth[task["id"]])
            done.append(int(task["id"]))
        return done

    def answer(self, task_ids: list[int]) -> None:
        for task_id in task_ids:
            self.label_studio.annotate(task_id, self.truth[task_id])

    def rename(self, names: dict[str, str]) -> None:
        """Give classes other names in the config, and in every answer from now on."""
        truth = json.dumps(self.truth)
        for before, after in names.items():
            self.config = self.config.replace(f'value="{before}"', f'value="{after}"')
            truth = truth.replace(f'"{before}"', f'"{after}"')
        self.label_studio.update_project(self.project_id, label_config=self.config)
        self.truth = {int(task_id): said for task_id, said in json.loads(truth).items()}

    def unlabelled(self) -> list[int]:
        return [task["id"] for task in self.label_studio.tasks(self.project_id) if not task["annotations"]]

    def served(self) -> int | None:
        task = self.label_studio.next_task(self.project_id)
        return int(task["id"]) if task else None

    def predictions(self, version: str) -> list[dict[str, Any]]:
        found = self.label_studio.get("/api/predictions/", params={"project": self.project_id})
        return [prediction for prediction in found if prediction["model_version"] == version]


def make_job(label_studio: LabelStudio, kind: str, count: int) -> KindJob:
    """Create the project of a kind and import its tasks."""
    return make_job_of(label_studio, KINDS[kind], kind, count)


def make_job_of(label_studio: LabelStudio, made: Made, title: str, count: int) -> KindJob:
    project = label_studio.create_project(title, made.config)
    job = KindJob(label_studio, project["id"], made)
    items = [made.item(number) for number in range(count)]
    label_studio.import_tasks(project["id"], [{**data, "number": number} for number, (data, _) in enumerate(items)])
    for task in label_studio.tasks(project["id"]):
        job.truth[task["id"]] = items[task["data"]["number"]][1]
    return job


def _region(name: str, to: str, kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": to, "type": kind, "value": value, **more}


def _words(number: int) -> tuple[random.Random, list[str]]:
    draw = random.Random(number)
    return draw, draw.sample(["the", "a", "my", "we", "today", "really", "some", "this", "was", "again"], 4)


def _set(number: int) -> Item:
    draw, words = _words(number)
    topics = {"food": ["soup", "bread", "cheese"], "travel": ["train", "hotel", "border"]}
    said = [topic for place, topic in enumerate(topics) if (number + 1) >> place & 1]
    for topic in said:
        words += draw.sample(topics[topic], 2)
    draw.shuffle(words)
    answer = [_region("topics", "text", "choices", {"choices": said})] if said else []
    return {"text": f"{' '.join(words)} {number}"}, answer


def _taxonomy(number: int) -> Item:
    draw, words = _words(number)
    path, hint = [(["animal", "cat"], "meow purr"), (["animal", "dog"], "bark woof"), (["plant"], "leaf root")][
        number % 3
    ]
    words += hint.split()
    draw.shuffle(words)
    return {"text": f"{' '.join(words)} {number}"}, [_region("tree", "text", "taxonomy", {"taxonomy": [path]})]


def _nested(number: int) -> Item:
    """What `_taxonomy` says, by choices within choices."""
    data, (region,) = _taxonomy(number)
    path = {"plant": ["plant", "moss"]}.get(region["value"]["taxonomy"][0][0], region["value"]["taxonomy"][0])
    return data, [{**region, "type": "choices", "value": {"choices": [path]}}]


def _rating(number: int) -> Item:
    draw, words = _words(number)
    stars = number % 3 + 1
    words += {1: ["awful", "bad"], 2: ["middling", "fair"], 3: ["splendid", "great"]}[stars]
    draw.shuffle(words)
    return {"text": f"{' '.join(words)} {number}"}, [_region("stars", "text", "rating", {"rating": stars})]


def _spans(number: int) -> Item:
    draw, words = _words(number)
    person, place = draw.choice(PEOPLE), draw.choice(PLACES)
    text = f"{words[0]} \U0001f30d {person} {words[1]} in {place} {words[2]} {number}"
    found = [("PER", person), ("LOC", place)] if number % 5 else []
    if not found:
        text = f"{' '.join(words)} nothing here {number}"
    answer = []
    for label, name in found:
        start = text.index(name)
        value = {"start": start, "end": start + len(name), "text": name, "labels": [label]}
        answer.append(_region("names", "text", "labels", value, id=f"{label}{number}"))
    return {"text": text}, answer


def _offered(number: int) -> Item:
    """What `_spans` says, with the labels in the task."""
    data, answer = _spans(number)
    return {**data, "names": [{"value": "PER"}, {"value": "LOC"}]}, answer


def _page(number: int) -> Item:
    """What `_spans` says of a text, said of a page, whose places are a path and counts of its text."""
    data, marked = _spans(number)
    before, between, after = "<h1>News</h1><p>", "</p><p>in ", "</p>"
    first, last = data["text"].split(" in ") if " in " in data["text"] else (data["text"], "")
    answer = []
    for region in marked:
        name, label = region["value"]["text"], region["value"]["labels"]
        paragraph, shown, offset = (1, first, len("News")) if name in first else (2, f"in {last}", len("News" + first))
        path, start = f"/p[{paragraph}]/text()[1]", _units(shown[: shown.index(name)])
        place = {"start": path, "end": path, "startOffset": start, "endOffset": start + _units(name), "text": name}
        counted = {"start": offset + shown.index(name), "end": offset + shown.index(name) + len(name)}
        value = {**place, "globalOffsets": counted, "hypertextlabels": label}
        answer.append({**region, "type": "hypertextlabels", "value": value})
    return {"text": f"{before}{first}{between}{last}{after}"}, answer


def _units(text: str) -> int:
    """How many units of UTF-16 a text has."""
    return len(text.encode("utf-16-le")) // 2


def _conversation(number: int) -> Item:
    """What `_spans` says of a text, said of a conversation, whose places count UTF-16 units of an utterance."""
    data, marked = _spans(number)
    first, last = data["text"].split(" in ") if " in " in data["text"] else (data["text"], "")
    said = [first, f"in {last}", f"number {number}"]
    answer = []
    for region in marked:
        name, label = region["value"]["text"], region["value"]["labels"]
        at = next(place for place, words in enumerate(said) if name in words)
        start = _units(said[at][: said[at].index(name)])
        value = {"start": str(at), "startOffset": start, "end": str(at), "endOffset": start + len(name), "text": name}
        answer.append({**region, "type": "paragraphlabels", "value": {**value, "paragraphlabels": label}})
    return {"text": [{"author": "A", "text": words} for words in said]}, answer


def _translation(number: int) -> Item:
    draw = random.Random(number)
    words = draw.sample(list(FRENCH), 2)
    text = f"{' '.join(words)} {number % 4}"
    target = f"{' '.join(FRENCH[word] for word in words)} {number % 4}"
    return {"text": f"{text}"}, [_region("french", "text", "textarea", {"text": [target]})]


def _picture(number: int) -> tuple[str, tuple[int, int, int, int] | None, str]:
    """An image with a bright square or a dark one on noise, or with none: its data URI, the square's corners, its label."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(90, 150, size=(SIDE, SIDE, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    label, corners = ["light", "dark"][number % 2], None
    if number % 6 != 5:
        size = int(generator.integers(28, 40))
        left, top = (int(at) for at in generator.integers(2, SIDE - size - 2, size=2))
        corners = (left, top, left + size, top + size)
        ImageDraw.Draw(image).rectangle(corners, fill=SHADES[label])
    return _address(image), corners, label


def _address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _scan(number: int) -> Item:
    """A slice of a 12-bit scan, in a file of its own or in a volume, with a disc or a bar in it."""
    generator = np.random.default_rng(number)
    pixels = generator.normal(400, 40, size=(64, 64))
    rows, columns = np.mgrid[:64, :64] - generator.integers(24, 40, size=2)[:, None, None]
    shape = ["disc", "bar"][number // 2 % 2]
    inside = rows**2 + columns**2 < 170 if shape == "disc" else abs(rows) < 4
    pixels[inside] += 900
    if number % 2:
        volume = np.zeros((64, 64, 3), np.int16)
        volume[:, :, 1] = pixels.T[:, ::-1]
        address = f"data:application/gzip;base64,{base64.b64encode(nifti(volume, packed=True)).decode()}#slice=1"
    else:
        address = f"data:application/dicom;base64,{base64.b64encode(dicom(pixels.astype(np.uint16), bits=12)).decode()}"
    return {"image": address}, [_region("shape", "image", "choices", {"choices": [shape]})]


def _scanned_boxes(number: int) -> Item:
    """A slice of a scan with a bright square in it, or with none."""
    generator = np.random.default_rng(number)
    pixels = generator.normal(400, 40, size=(SIDE, SIDE))
    left, top = (int(at) for at in generator.integers(2, SIDE - 40, size=2))
    answer = []
    if number % 6 != 5:
        pixels[top : top + 36, left : left + 36] += 900
        place = {name: 100 * at / SIDE for name, at in {"x": left, "y": top, "width": 36, "height": 36}.items()}
        value = {**place, "rotation": 0, "rectanglelabels": ["light"]}
        answer = [_region("squares", "image", "rectanglelabels", value, id=f"s{number}", **SIZE)]
    file = base64.b64encode(dicom(pixels.astype(np.uint16), bits=12)).decode()
    return {"image": f"data:application/dicom;base64,{file}"}, answer


SIZE = {"original_width": SIDE, "original_height": SIDE, "image_rotation": 0}


def _boxes(number: int) -> Item:
    uri, corners, label = _picture(number)
    if corners is None:
        return {"image": uri}, []
    left, top, right, bottom = (100 * corner / SIDE for corner in corners)
    value = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    return {"image": uri}, [
        _region("squares", "image", "rectanglelabels", {**value, "rectanglelabels": [label]}, id=f"b{number}", **SIZE)
    ]


def _rectangles(number: int) -> Item:
    """What `_boxes` says with one tag, said with two: one draws, one names."""
    data, boxes = _boxes(number)
    answer = []
    for box in boxes:
        *sides, labels = box["value"].items()
        answer += [
            {**box, "type": "rectangle", "value": dict(sides)},
            {**box, "from_name": "shade", "type": "choices", "value": {**dict(sides), "choices": labels[1]}},
        ]
    return data, answer


def _attributes(number: int) -> Item:
    """Squares of one class, and of which shade each is, said twice, and how bright; none of the pictures is without one."""
    data, (square,) = _boxes(number + number // 5)
    *sides, (_, shade) = square["value"].items()
    stars = {"light": 3, "dark": 1}[shade[0]]
    return data, [
        {**square, "value": {**dict(sides), "rectanglelabels": ["square"]}},
        {**square, "from_name": "shade", "type": "choices", "value": {**dict(sides), "choices": shade}},
        {**square, "from_name": "tree", "type": "choices", "value": {**dict(sides), "choices": [["shade", *shade]]}},
        {**square, "from_name": "bright", "type": "rating", "value": {**dict(sides), "rating": stars}},
    ]


def _attributed_spans(number: int) -> Item:
    """Names of one class, what each is the name of, said twice, and how it is written in capitals."""
    data, marked = _spans(number + number // 4 + 1)
    answer = []
    for region in marked:
        *place, (_, label) = region["value"].items()
        answer += [
            {**region, "value": {**dict(place), "labels": ["name"]}},
            {**region, "from_name": "of", "type": "choices", "value": {**dict(place), "choices": label}},
            {
                **region,
                "from_name": "path",
                "type": "taxonomy",
                "value": {**dict(place), "taxonomy": [["name", *label]]},
            },
            {
                **region,
                "from_name": "loud",
                "type": "textarea",
                "value": {**dict(place), "text": [dict(place)["text"].upper()]},
            },
        ]
    return data, answer


def _polygons(number: int) -> Item:
    uri, corners, label = _picture(number)
    if corners is None:
        return {"image": uri}, []
    left, top, right, bottom = (100 * corner / SIDE for corner in corners)
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    value = {"points": points, "closed": True, "polygonlabels": [label]}
    return {"image": uri}, [_region("squares", "image", "polygonlabels", value, id=f"p{number}", **SIZE)]


def _brush(number: int) -> Item:
    uri, corners, label = _picture(number)
    if corners is None:
        return {"image": uri}, []
    value = {**_painted(corners), "brushlabels": [label]}
    return {"image": uri}, [_region("squares", "image", "brushlabels", value, id=f"m{number}", **SIZE)]


def _bitmask(number: int) -> Item:
    uri, corners, label = _picture(number)
    if corners is None:
        return {"image": uri}, []
    drawn = Image.new("LA", (SIDE, SIDE))
    ImageDraw.Draw(drawn).rectangle(corners, fill=(0, 255))
    value = {"format": "png", "imageDataURL": _address(drawn), "bitmasklabels": [label]}
    return {"image": uri}, [_region("squares", "image", "bitmasklabels", value, id=f"b{number}", **SIZE)]


def _painted(corners: tuple[int, int, int, int]) -> dict[str, Any]:
    """A square as a brush paints it."""
    from label_studio_sdk.converter.brush import mask2rle

    drawn = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(drawn).rectangle(corners, fill=255)
    return {"format": "rle", "rle": mask2rle(np.asarray(drawn))}


def _attributed_areas(number: int) -> Item:
    """Two squares of one class in each picture, and the shade of each."""
    generator = np.random.default_rng(number)
    image = Image.fromarray(generator.integers(90, 150, size=(SIDE, SIDE, 3)).astype(np.uint8))
    answer = []
    for place, left in enumerate((4, SIDE // 2 + 4)):
        shade = ["light", "dark"][(number + place * (number // 2)) % 2]
        size, top = int(generator.integers(26, 38)), int(generator.integers(4, SIDE - 44))
        corners = (left, top, left + size, top + size)
        ImageDraw.Draw(image).rectangle(corners, fill=SHADES[shade])
        area = _painted(corners)
        more: dict[str, Any] = {"id": f"a{number}-{place}", **SIZE}
        answer += [
            _region("squares", "image", "brushlabels", {**area, "brushlabels": ["square"]}, **more),
            _region("shade", "image", "choices", {**area, "choices": [shade]}, **more),
        ]
    return {"image": _address(image)}, answer


def _parts(number: int) -> Item:
    """What `_boxes` and `_brush` say of a picture and `_spans` of a text, said of one task."""
    (picture, boxes), (_, areas), (text, spans) = _boxes(number), _brush(number), _spans(number)
    return {**picture, **text}, [*boxes, *({**area, "from_name": "areas"} for area in areas), *spans]


def _several(number: int) -> Item:
    data, boxes = _boxes(number)
    _, _, label = _picture(number)
    return data, [*boxes, _region("kind", "image", "choices", {"choices": [label if boxes else "none"]})]


def _conditional(number: int) -> Item:
    """Whether there is a square, and only where there is one its shade."""
    uri, corners, label = _picture(number)
    said = [_region("there", "image", "choices", {"choices": ["yes" if corners else "no"]})]
    return {"image": uri}, said + ([_region("shade", "image", "choices", {"choices": [label]})] if corners else [])


def _two_objects(number: int) -> Item:
    """A picture and a text in one task, each with a question of its own."""
    (picture, shade), (text, topics) = _conditional(6 * number + number % 2), _set(number)
    return {**picture, **text}, [shade[1], *topics]


def _text_view(inside: str) -> str:
    return f'<View><Text name="text" value="$text"/>{inside}</View>'


def _image_view(inside: str) -> str:
    return f'<View><Image name="image" value="$image"/>{inside}</View>'


_SQUARES = '<Label value="light"/><Label value="dark"/>'
_RECTANGLES = f'<RectangleLabels name="squares" toName="image">{_SQUARES}</RectangleLabels>'
_TREE = (
    '<Choice value="animal"><Choice value="cat"/><Choice value="dog"/></Choice>'
    '<Choice value="plant"><Choice value="moss"/></Choice>'
)
KINDS = {
    "scans": Made(
        _image_view('<Choices name="shape" toName="image"><Choice value="disc"/><Choice value="bar"/></Choices>'),
        "shape",
        _scan,
    ),
    "set": Made(
        _text_view(
            '<Choices name="topics" toName="text" choice="multiple"><Choice value="food"/><Choice value="travel"/></Choices>'
        ),
        "topics",
        _set,
    ),
    "taxonomy": Made(_text_view(f'<Taxonomy name="tree" toName="text">{_TREE}</Taxonomy>'), "tree", _taxonomy),
    "nested": Made(
        _text_view(f'<Choices name="tree" toName="text" allowNested="true">{_TREE}</Choices>'), "tree", _nested
    ),
    "rating": Made(_text_view('<Rating name="stars" toName="text" maxRating="3"/>'), "stars", _rating),
    "spans": Made(
        _text_view('<Labels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></Labels>'),
        "names",
        _spans,
    ),
    "offered": Made(_text_view('<Labels name="names" toName="text" value="$names"/>'), "names", _offered),
    "page": Made(
        '<View><HyperTextLabels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></HyperTextLabels>'
        '<HyperText name="text" value="$text"/></View>',
        "names",
        _page,
    ),
    "conversation": Made(
        '<View><ParagraphLabels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></ParagraphLabels>'
        '<Paragraphs name="text" value="$text"/></View>',
        "names",
        _conversation,
    ),
    "translation": Made(_text_view('<TextArea name="french" toName="text"/>'), "french", _translation),
    "boxes": Made(_image_view(_RECTANGLES), "squares", _boxes),
    "rectangles": Made(
        _image_view(
            '<Rectangle name="squares" toName="image"/><Choices name="shade" toName="image" perRegion="true">'
            '<Choice value="light"/><Choice value="dark"/></Choices>'
        ),
        "squares",
        _rectangles,
    ),
    "attributes": Made(
        _image_view(
            '<Choices name="shade" toName="image" perRegion="true"><Choice value="light"/><Choice value="dark"/></Choices>'
            '<RectangleLabels name="squares" toName="image"><Label value="square"/></RectangleLabels>'
            '<Rating name="bright" toName="image" perRegion="true" maxRating="3"/>'
            '<Choices name="tree" toName="image" perRegion="true" allowNested="true"><Choice value="shade">'
            '<Choice value="light"/><Choice value="dark"/></Choice></Choices>'
        ),
        "shade",
        _attributes,
    ),
    "attributed spans": Made(
        _text_view(
            '<Labels name="names" toName="text"><Label value="name"/></Labels>'
            '<Choices name="of" toName="text" perRegion="true"><Choice value="PER"/><Choice value="LOC"/></Choices>'
            '<Taxonomy name="path" toName="text" perRegion="true"><Choice value="name"><Choice value="PER"/><Choice value="LOC"/>'
            '</Choice></Taxonomy><TextArea name="loud" toName="text" perRegion="true"/>'
        ),
        "of",
        _attributed_spans,
    ),
    "attributed areas": Made(
        _image_view(
            '<BrushLabels name="squares" toName="image"><Label value="square"/></BrushLabels>'
            '<Choices name="shade" toName="image" perRegion="true"><Choice value="light"/><Choice value="dark"/></Choices>'
        ),
        "shade",
        _attributed_areas,
    ),
    "polygons": Made(
        _image_view(f'<PolygonLabels name="squares" toName="image">{_SQUARES}</PolygonLabels>'), "squares", _polygons
    ),
    "brush": Made(
        _image_view(f'<BrushLabels name="squares" toName="image">{_SQUARES}</BrushLabels>'), "squares", _brush
    ),
    "bitmasks": Made(
        _image_view(f'<BitmaskLabels name="squares" toName="image">{_SQUARES}</BitmaskLabels>'), "squares", _bitmask
    ),
    "scanned boxes": Made(_image_view(_RECTANGLES), "squares", _scanned_boxes),
    "conditional": Made(
        _image_view(
            '<Choices name="there" toName="image"><Choice value="yes"/><Choice value="no"/></Choices>'
            '<Choices name="shade" toName="image" visibleWhen="choice-selected" whenTagName="there" whenChoiceValue="yes">'
            '<Choice value="light"/><Choice value="dark"/></Choices>'
        ),
        "there",
        _conditional,
    ),
    "two objects": Made(
        '<View><Image name="image" value="$image"/><Text name="text" value="$text"/>'
        '<Choices name="shade" toName="image"><Choice value="light"/><Choice value="dark"/></Choices>'
        '<Choices name="topics" toName="text" choice="multiple"><Choice value="food"/><Choice value="travel"/></Choices></View>',
        "shade",
        _two_objects,
    ),
    "several": Made(
        _image_view(
            f'{_RECTANGLES}<Choices name="kind" toName="image"><Choice value="light"/><Choice value="dark"/>'
            '<Choice value="none"/></Choices>'
        ),
        "squares",
        _several,
    ),
}
PARTS = Made(
    f'<View><Image name="image" value="$image"/><Text name="text" value="$text"/>{_RECTANGLES}'
    f'<BrushLabels name="areas" toName="image">{_SQUARES}</BrushLabels>'
    '<Labels name="names" toName="text"><Label value="PER"/><Label value="LOC"/></Labels></View>',
    "squares",
    _parts,
)
"""All kinds of regions in one project."""
