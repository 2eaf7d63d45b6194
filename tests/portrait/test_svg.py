import re
from xml.etree import ElementTree

import numpy as np
import pytest

from toonify.portrait.shapes import Drawing, ellipse
from toonify.portrait.svg import path_data, to_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawing() -> Drawing:
    made = Drawing(80, 60, np.float32([0.2, 0.4, 0.6]))
    window = [ellipse((40, 30), 18)]
    made.add([ellipse((20, 20), 8)], (1, 1, 0), layer="background")
    made.add([ellipse((40, 30), 20), ellipse((40, 30), 5)], (1, 0, 0))
    made.add([ellipse((45, 30), 12)], (0, 0, 1), opacity=0.5, blur=3, clip=window)
    made.add([ellipse((35, 30), 12)], (0, 1, 0), clip=[ring.copy() for ring in window])
    made.add([ellipse((60, 10), 4)], (1, 1, 1), layer="background")
    made.silhouette = [ellipse((40, 30), 20)]
    return made


def test_layers_are_groups_in_painting_order() -> None:
    root = ElementTree.fromstring(to_svg(drawing()))
    groups = root.findall(f"{SVG}g")
    assert [group.get("id") for group in groups] == ["background", "person", "background-2"]
    fills = [path.get("fill") for group in groups for path in group]
    assert fills == ["#ffff00", "#ff0000", "#0000ff", "#00ff00", "#ffffff"]
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    ground = root.find(f"{SVG}rect")
    assert ground is not None and ground.get("fill") == "#336699"
    assert root.get("viewBox") == "0 0 80 60" and root.get("fill-rule") == "evenodd"


def test_soft_and_clipped_shapes_refer_to_what_is_defined() -> None:
    text = to_svg(drawing())
    root = ElementTree.fromstring(text)
    defined = {node.get("id") for node in root.find(f"{SVG}defs") or ()}
    assert set(re.findall(r"url\(#([\w-]+)\)", text)) == defined
    clips = root.findall(f"{SVG}defs/{SVG}clipPath")
    assert len(clips) == 1  # equal ones are written once
    blur = root.find(f"{SVG}defs/{SVG}filter/{SVG}feGaussianBlur")
    assert blur is not None and float(blur.get("stdDeviation", "")) == 3
    soft = root.findall(f"{SVG}g/{SVG}path")[2]
    assert soft.get("opacity") == "0.5" and soft.get("filter") and soft.get("clip-path")


def test_paths_have_few_curves_with_one_decimal() -> None:
    (data,) = path_data([[ellipse((30, 30), 10), ellipse((30, 30), 4)]])
    assert data.count("M") == data.count("z") == 2
    numbers = re.findall(r"-?\d*\.?\d+", data)
    assert all(len(number.partition(".")[2]) <= 1 for number in numbers)
    assert 24 < len(numbers) < 120
    x, y = map(float, numbers[:2])
    assert np.hypot(x - 30.5, y - 30.5) == pytest.approx(10, abs=0.4)  # SVG's px begin at 0


def test_people_alone_over_something_else() -> None:
    root = ElementTree.fromstring(to_svg(drawing(), background="transparent"))
    assert root.find(f"{SVG}rect") is None
    people = root.find(f"{SVG}g")
    assert people is not None and people.get("id") == "people" and people.get("clip-path")
    assert len(list(people.iter(f"{SVG}path"))) == 3
    root = ElementTree.fromstring(to_svg(drawing(), background=(255, 0, 10)))
    ground = root.find(f"{SVG}rect")
    assert ground is not None and ground.get("fill") == "#ff000a"
    photo = np.zeros((60, 80, 3), np.uint8)
    root = ElementTree.fromstring(to_svg(drawing(), background="keep", photo=photo))
    image = root.find(f"{SVG}image")
    assert image is not None and str(image.get("href")).startswith("data:image/jpeg;base64,")


def test_shown_size_and_refusals() -> None:
    root = ElementTree.fromstring(to_svg(drawing(), size=(800, 600)))
    assert (root.get("width"), root.get("height")) == ("800", "600")
    with pytest.raises(ValueError, match="photograph"):
        to_svg(drawing(), background="keep")
    with pytest.raises(ValueError, match="no background"):
        to_svg(drawing(), background="sky")


def test_a_drawing_of_nothing_is_still_a_picture() -> None:
    root = ElementTree.fromstring(to_svg(Drawing(4, 4, np.zeros(3, np.float32))))
    assert [node.tag for node in root] == [f"{SVG}rect"]
