"""A fusion state while a step works on it: a copy of its dicts, in which a track is copied before it is changed."""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from twin.events.ids import SECOND, Micros
from twin.fusion import camera_links
from twin.fusion.columns import TrackColumns
from twin.fusion.emission import Emission
from twin.fusion.lifecycle import Lifecycle
from twin.fusion.linking import Linking
from twin.fusion.parking import Parking
from twin.fusion.scene import Scene
from twin.fusion.state import FusionState, Track, TrackId
from twin.fusion.telling import Telling


class Draft:
    """What the parts of a step share.

    Attributes:
        state: its dicts are written to; the tracks in it are the given state's until ``mine`` copies them.
        columns: of its tracks. owned: tracks that were copied already.
        n_tracks: how many there were ever, for the next one's id.
    """

    def __init__(self, state: FusionState, scene: Scene, emission: Emission, *, is_again: bool = False) -> None:
        """``is_again``: it is the past that is fused again, beside the present."""
        self.scene = scene
        self.emission = emission
        self.n_tracks = state.n_tracks
        self.state = FusionState(
            tracks=dict(state.tracks),
            tracklets={camera: dict(links) for camera, links in state.tracklets.items()},
            views=state.views,
            stalls=dict(state.stalls),
            calibrations=state.calibrations,
            watched_since=dict(state.watched_since),
            looked_at=dict(state.looked_at),
            suspicions=state.suspicions,
            merges=state.merges,
            links=state.links,
            scores=state.scores,
            biases=state.biases,
            checked_at=state.checked_at,
        )
        self.owned = set[TrackId]()
        self._is_again = is_again
        self.columns = (scene.columns.pop(is_again, None) or TrackColumns()).of(self.state.tracks)
        self.linking = Linking(self.state.tracklets, state.views, emission, state.scores.nats)
        tracks, nats = self.state.tracks, state.scores.nats
        self.telling = Telling(scene, emission, tracks)
        self.parking = Parking(scene, self.telling, tracks)
        self.life = Lifecycle(scene, emission, self.telling, self.parking, tracks, self.mine, nats)

    def finished(self) -> FusionState:
        """The new state; the step ends."""
        self.scene.columns[self._is_again] = self.columns
        return replace(self.state, n_tracks=self.n_tracks)

    def is_new_second(self, at: Micros) -> bool:
        """Whether this is the first time that is asked in this second."""
        if at // SECOND == self.state.checked_at // SECOND:
            return False
        self.state = replace(self.state, checked_at=at)
        return True

    def mine(self, track: TrackId) -> Track:
        """A track, to be changed."""
        tracks = self.state.tracks
        if track not in self.owned:
            self.owned.add(track)
            tracks[track] = self.columns.tracks[self.columns.row_by_id[track]] = copy(tracks[track])
        return tracks[track]

    def drop(self, track: TrackId) -> None:
        """A track is no more."""
        del self.state.tracks[track]
        self.columns.drop(track)

    def end(self, at: Micros) -> None:
        """Tracks that were found to be another one's give it their tracklets, and are no more."""
        if not self.life.ended:  # as after nearly every box
            return
        for ended, track in self.life.ended:
            self.linking.hand_over(ended.id, track, at)
            self.linking.hand_over(track.id, track, at)
            if ended.id in self.state.tracks:
                self.drop(ended.id)
        self.life.ended.clear()

    def count_lost(self, track: Track) -> None:
        """A vehicle went out of its camera's sight: what is learned of ways between cameras counts it."""
        if self.scene.parameters.learns_links:
            self.state = replace(self.state, links=camera_links.with_lost(self.state.links, track.seen_by))
