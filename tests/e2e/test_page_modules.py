"""The page's pure modules, run where they run: imported by the browser from the service."""

import numpy as np
import pytest
from playwright.sync_api import Page
from scipy.stats import chi2

from twin.marks_file import read_marks

pytestmark = pytest.mark.e2e


def test_the_ellipse_is_the_covariance_at_the_95_percent_quantile(bare_page: Page):
    xx, xy, yy = 0.9, -0.35, 0.4
    drawn = bare_page.evaluate("async (c) => (await import('/static/geometry.js')).ellipse95(c)", [xx, xy, yy])
    values, vectors = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    assert drawn["major_m"] == pytest.approx(np.sqrt(chi2.ppf(0.95, 2) * values[1]), rel=1e-3)
    assert drawn["minor_m"] == pytest.approx(np.sqrt(chi2.ppf(0.95, 2) * values[0]), rel=1e-3)
    axis = np.array([np.cos(np.radians(drawn["heading_deg"])), np.sin(np.radians(drawn["heading_deg"]))])
    assert abs(axis @ vectors[:, 1]) == pytest.approx(1.0)


def test_a_vehicle_turns_the_short_way_round(bare_page: Page):
    turned = bare_page.evaluate("""async () => {
        const { turn } = await import('/static/geometry.js');
        return [turn(350, 10, 0.5), turn(10, 350, 0.5), turn(-170, 170, 1)];
    }""")
    assert turned == [360, 0, -190]


def test_a_glide_goes_straight_and_arrives_in_the_time_between_reports(bare_page: Page):
    places = bare_page.evaluate("""async () => {
        const { Motion } = await import('/static/map/motion.js');
        const motion = new Motion([0, 0], 0);
        motion.moveTo([0, 0], 0, 1000, 0);
        motion.moveTo([2, 4], 90, 1400, 400);
        return [1400, 1600, 1800, 9000].map((ms) => motion.sample(ms)).map((s) => [...s.point_m, s.heading_deg, s.isThere]);
    }""")
    assert places == [[0, 0, 0, False], [1, 2, 45, False], [2, 4, 90, True], [2, 4, 90, True]]


def test_a_correction_far_away_is_shown_at_once_and_leaves_no_trail(bare_page: Page):
    shown = bare_page.evaluate("""async () => {
        const { Motion } = await import('/static/map/motion.js');
        const motion = new Motion([0, 0], 0);
        motion.moveTo([3, 0], 0, 1000, 0);
        motion.moveTo([60, 0], 0, 1100, 100);
        return [motion.sample(1100).point_m, motion.trail_m];
    }""")
    assert shown == [[60, 0], []]


def test_a_delta_replaces_whole_objects_and_removes_what_left(bare_page: Page):
    state = bare_page.evaluate("""async () => {
        const { TwinState } = await import('/static/state.js');
        const state = new TwinState();
        state.replace({
            at: '2026-01-01T00:00:00Z', position: '7', counters: { inside: 2 },
            vehicles: [{ vehicle: 'a', stall: 's1' }, { vehicle: 'b', stall: null }],
            stalls: [{ stall: 's1', state: 'occupied' }, { stall: 's2', state: 'unknown' }],
            zones: [], cameras: [], portals: [],
        });
        state.apply({
            at: '2026-01-01T00:00:01Z', position: '9', vehicles: [{ vehicle: 'b', stall: 's2' }], left: ['a'],
            stalls: [{ stall: 's1', state: 'free' }], zones: [], cameras: [], portals: [],
        });
        return [state.position, [...state.vehicles.values()], state.stallCounts(), state.counters];
    }""")
    assert state == ["9", [{"vehicle": "b", "stall": "s2"}], {"free": 1, "occupied": 0, "unknown": 1}, {"inside": 2}]


def test_a_free_stall_is_unknown_while_none_of_its_cameras_delivers(bare_page: Page):
    told = bare_page.evaluate("""async () => {
        const { TwinState } = await import('/static/state.js');
        const state = new TwinState({ s1: [['a', 'b']], s2: [['a'], ['b']], s3: [['a']] });
        const camera = (camera, state, since_at) => ({ camera, state, since_at });
        const [early, late] = ['2026-01-01T00:00:01Z', '2026-01-01T00:00:02Z'];
        state.replace({
            at: early, position: '7', cameras: [camera('a', 'active', early), camera('b', 'active', early)],
            stalls: [['s1', 'free'], ['s2', 'free'], ['s3', 'occupied'], ['s4', 'free']]
                .map(([stall, state]) => ({ stall, state })),
        });
        const seen = [state.stallCounts()];
        const drawn = [];
        for (const [name, now] of [['a', 'idle'], ['b', 'idle'], ['a', 'active']]) {
            const { stalls } = state.apply({ position: '8', cameras: [camera(name, now, late)] });
            drawn.push(stalls.map(({ stall, state, since_at }) => [stall, state, since_at ?? null]));
            seen.push(state.stallCounts());
        }
        return [seen.map(({ free, unknown }) => [free, unknown]), drawn];
    }""")
    late = "2026-01-01T00:00:02Z"
    assert told == [
        [[3, 0], [2, 1], [1, 2], [2, 1]],
        [[["s2", "unknown", late]], [["s1", "unknown", late]], [["s1", "free", None]]],
    ]


def test_marks_stay_the_same_elements_while_the_line_grows(bare_page: Page):
    bare_page.goto("/healthz")
    bare_page.set_content("<!doctype html><body><div id='marks' style='width: 600px'></div></body>")
    told = bare_page.evaluate("""async () => {
        const { Marks } = await import('/static/time/marks.js');
        const root = document.querySelector('#marks');
        const marks = new Marks(root, () => {});
        const first = Date.parse('2026-01-01T00:00:00Z');
        const time = (s) => new Date(first + s * 1000).toISOString();
        const one = (s, n) => ({
            at: time(s), known_at: time(s), before: `${n}`, after: `${n + 1}`, by: 'twin', names: [], n_vehicles: 1,
            n_stalls: 0, n_sessions: 0,
        });
        const corrections = [one(10, 1), one(500, 5)];
        let n = 0;
        const watched = new MutationObserver((all) => { n += all.length; });
        marks.render(corrections, first, first + 1_000_000);
        const button = root.children[1];
        button.focus();
        watched.observe(root, { childList: true, subtree: true, attributes: true });
        for (let s = 1; s <= 8; s += 1) marks.render(corrections, first, first + 1_000_000 + s * 1000);
        n += watched.takeRecords().length;
        marks.render(corrections, first, first + 2_000_000);
        const share = Number(button.style.getPropertyValue('--share'));
        return [n, root.children[1] === button, document.activeElement === button, share];
    }""")
    assert told == [0, True, True, 0.25]


def test_what_is_said_to_be_less_is_rounded_up(bare_page: Page):
    told = bare_page.evaluate(
        "async (all) => { const { roundedUp } = await import('/static/format.js'); return all.map(roundedUp); }",
        [59.2, 180, 181, 90_000, 90_001],
    )
    assert told == ["1 min", "3 min", "4 min", "1 d 1 h", "1 d 2 h"]


def test_the_left_of_a_portal_is_where_its_arrow_points(bare_page: Page):
    # A line drawn northwards has west on its left: the arrow of an "in" portal points to 180 degrees.
    turned = bare_page.evaluate("""async () => {
        const { PortalLayer } = await import('/static/map/portals.js');
        const portal = { id: 'p', level: 'g', role: 'boundary', direction: 'in', line_m: [[0, 0], [0, 5]] };
        return new PortalLayer([portal]).element.querySelector('.portal-arrow').getAttribute('transform');
    }""")
    assert turned.startswith("rotate(-180)")


@pytest.mark.parametrize("is_inferred", [True, False])
def test_a_place_that_no_camera_saw_is_said_to_be_worked_out(bare_page: Page, is_inferred: bool):
    text = bare_page.evaluate(
        """async (inferred) => {
        const { Details } = await import('/static/panel/details.js');
        const root = document.createElementNS('http://www.w3.org/1999/xhtml', 'section');
        const told = { vehicle: 'v', kind: 'car', state: 'moving', zone: 'aisle', is_inferred: inferred };
        new Details(root, {}).showVehicle(told, null, 0);
        return root.textContent;
    }""",
        is_inferred,
    )
    assert ("by no camera" in text) == is_inferred


def test_a_place_on_a_trail_lies_between_its_neighbours_in_time(bare_page: Page):
    places = bare_page.evaluate("""async () => {
        const { placeAt } = await import('/static/explore/trail.js');
        const trail = [[10_000, [0, 0]], [20_000, [10, 20]]].map(([atMs, point_m]) => ({ atMs, point_m, level: 'g' }));
        return [15_000, 20_000, 99_000, 8_000, 1_000].map((ms) => placeAt(trail, ms)?.point_m ?? null);
    }""")
    assert places == [[5, 10], [10, 20], [10, 20], [0, 0], None]


def test_passages_are_every_tracklet_once_in_times_order(bare_page: Page):
    drawn = bare_page.evaluate("""async () => {
        const { marksOf, passagesOf, trailOf } = await import('/static/explore/trail.js');
        const fact = (type, second, data) => ({ type, time: `2026-01-01T00:00:${second}Z`, data: { vehicle: 'v', ...data } });
        const history = [
            fact('vehicle.confirmed.v1', '10', { position_m: [0, 0], level: 'g' }),
            fact('tracklet.assigned.v1', '10', { tracklet: 'a', camera: 'east' }),
            fact('vehicle.moved.v1', '20', { position_m: [10, 0], level: 'g' }),
            fact('tracklet.assigned.v1', '20', { tracklet: 'b', camera: 'west' }),
            fact('tracklet.assigned.v1', '21', { tracklet: 'c', camera: 'west' }),
        ];
        const sightings = [{ tracklet: 'b', camera: 'west', at: '2026-01-01T00:00:22Z', crop: 'x' }];
        const passages = passagesOf(history, 'v', sightings, trailOf(history, 'v'));
        const marks = marksOf(passages).map(({ first, last, place }) => [first, last, ...place.point_m]);
        return [passages.map(({ sighting }) => [sighting.tracklet, sighting.crop]), marks];
    }""")
    assert drawn == [[["a", None], ["c", None], ["b", "x"]], [[1, 1, 0, 0], [2, 3, 10, 0]]]


def test_shares_that_are_not_sure_are_not_told_as_sure(bare_page: Page):
    told = bare_page.evaluate("""async () => {
        const { percent } = await import('/static/search/evidence.js');
        return [0, 0.0001, 0.25, 0.9999, 1].map(percent);
    }""")
    assert told == ["0 %", "< 1 %", "25 %", "> 99 %", "100 %"]


def test_corrections_that_lie_near_to_each_other_share_a_mark_and_none_is_lost(bare_page: Page):
    clusters = bare_page.evaluate("""async () => {
        const { clustersOf } = await import('/static/time/clusters.js');
        const at = (second) => ({ at: new Date(second * 1000).toISOString(), before: String(second) });
        const line = { firstMs: 0, latestMs: 100_000, widthPx: 1000, roomPx: 26 };
        return clustersOf([at(50), at(10), at(11), at(12.7), at(-5), at(120)], line).map(
            ({ share, corrections }) => [share, corrections.map(({ before }) => before)]);
    }""")
    assert clusters == [[0, ["-5"]], [0.1, ["10", "11"]], [0.127, ["12.7"]], [0.5, ["50"]], [1, ["120"]]]


def test_who_goes_and_who_comes_at_one_place_is_one_vehicle_under_another_name(bare_page: Page):
    told = bare_page.evaluate("""async () => {
        const { vehicleChanges } = await import('/static/time/lines.js');
        const view = (vehicle, x) => ({ vehicle, level: 'g', position_m: [x, 0] });
        const changes = [
            { vehicle: 'a', before: view('a', 0), after: null },
            { vehicle: 'b', before: null, after: view('b', 0.5) },
            { vehicle: 'c', before: view('c', 30), after: null },
            { vehicle: 'd', before: null, after: view('d', 60) },
            { vehicle: 'e', before: view('e', 1), after: view('e', 4) },
            { vehicle: 'f', before: view('f', 1), after: view('f', 1) },
        ];
        const name = (one) => one?.vehicle ?? null;
        return vehicleChanges(changes).map(({ kind, before, after }) => [kind, name(before), name(after)]);
    }""")
    assert told == [
        ["moved", "e", "e"],
        ["otherwise", "f", "f"],
        ["renamed", "a", "b"],
        ["removed", "c", None],
        ["added", None, "d"],
    ]


def test_who_is_on_a_ramp_is_shown_on_both_of_its_levels(bare_page: Page):
    shown = bare_page.evaluate("""async () => {
        const { Ramps } = await import('/static/map/ramps.js');
        const ramps = new Ramps([
            { role: 'level', level: 'g', to_level: 'up', line_m: [[0, 0], [0, 4]] },
            { role: 'boundary', level: 'g', to_level: null, line_m: [[50, 0], [50, 4]] },
        ]);
        return [['g', [3, 2], 'up'], ['up', [3, 2], 'g'], ['g', [20, 2], 'up'], ['g', [3, 2], 'g'], ['g', [50, 2], 'up']].map(
            ([from, point, to]) => ramps.leads(from, point, to));
    }""")
    assert shown == [True, True, False, False, False]


def test_plates_are_looked_for_when_asked_and_who_may_not_is_told_why(bare_page: Page):
    bare_page.goto("/healthz")
    bare_page.set_content("<!doctype html><body></body>")  # buttons are pressed in HTML alone
    said = bare_page.evaluate("""async () => {
        const { Finder } = await import('/static/panel/finder.js');
        const { TwinState } = await import('/static/state.js');
        const root = document.createElement('form');
        root.innerHTML = '<input type="search"/><p role="status"></p><ul></ul>';
        const asked = [];
        const stay = { session: 's-1', vehicle: 'v-7', status: 'open' };
        const answers = { 'B-XY 123': { sessions: [stay] }, 'AB 1': { sessions: [] } };
        const ask = async (plate) => {
            asked.push(plate);
            if (plate in answers) return answers[plate];
            throw Object.assign(new Error('no'), { status: 403 });
        };
        const picked = [];
        new Finder(root, () => new TwinState(), ask, (chosen) => picked.push(chosen));
        const box = root.querySelector('input');
        const said = [];
        for (const text of ['hello', 'B-XY 123', 'AB 1', 'ZZ 9']) {
            box.value = text;
            box.dispatchEvent(new Event('input'));
            said.push(root.querySelector('[role=status]').textContent, asked.length);
            root.dispatchEvent(new Event('submit', { cancelable: true }));
            await new Promise((done) => setTimeout(done));
            said.push(root.querySelector('[role=status]').textContent);
            if (text.startsWith('B-')) root.querySelector('button').click();
        }
        return [said, asked, picked];
    }""")
    nothing = "No vehicle or stall of that name at this moment"
    assert said == [
        [
            *(nothing, 0, nothing),
            *(nothing, 0, "1 stay with this plate"),
            *(nothing, 1, "No stay that is open, or not paid yet, has this plate."),
            *(nothing, 2, "Plates may be looked for only with a key that may decide (operate)."),
        ],
        ["B-XY 123", "AB 1", "ZZ 9"],
        [{"vehicle": "v-7"}],
    ]


TABLES = {
    "pairs": ('what,pixel_x,ground_y_m,pixel_y,ground_x_m\n"a kerb, the ""near"" one",512.3,14,187.1,-3\n\n,1e2,+0.5,.25,4.\n'),
    "lines": 'line,pixel_x,pixel_y\n"a,b",1,2\nc,1,1\n"a,b",3,4\nc,2,2\nc,3,3\n"a,b",5,6\n',
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_marks_is_read_as_the_command_reads_it(bare_page: Page, tmp_path, kind: str):
    table, none = tmp_path / "table.csv", tmp_path / "none.csv"
    table.write_text(TABLES[kind])
    none.write_text("pixel_x,pixel_y,ground_x_m,ground_y_m\n")
    read = read_marks(table) if kind == "pairs" else read_marks(none, table)
    found = bare_page.evaluate(
        "async (text) => (await import('/static/calibrate/marks_file.js')).readMarks(text, [960, 540])", TABLES[kind]
    )
    if kind == "pairs":
        expected = {"pairs": [{"pixel": list(one.pixel_px), "ground": list(one.ground_m)} for one in read.pairs]}
    else:
        expected = {"lines": [[list(point) for point in line] for line in read.lines_px]}
    assert found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no table whose first line is pixel_x,pixel_y,ground_x_m,ground_y_m or line,pixel_x,pixel_y"),
        ("", "no table whose first line"),
        ("{", "not JSON"),
        ("pixel_x,pixel_y,ground_x_m,ground_y_m\n1,2,3\n", "Line 2 of the file: ground_y_m is “”"),
        ("pixel_x,pixel_y,ground_x_m,ground_y_m\n1,2,3,Infinity\n", "ground_y_m is “Infinity”"),
        ("line,pixel_x,pixel_y\na,1,2\na,3,4\n", "Line “a” has 2 points"),
    ],
)
def test_a_file_that_is_no_marks_is_refused_in_words(bare_page: Page, text: str, words: str):
    told = bare_page.evaluate(
        """async (text) => {
            const { readMarks } = await import('/static/calibrate/marks_file.js');
            try { return readMarks(text, [960, 540]); } catch (error) { return error.message; }
        }""",
        text,
    )
    assert words in told
