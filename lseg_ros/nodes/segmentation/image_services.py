# SPDX-License-Identifier: Apache-2.0
"""The services that look at a single image, ~/segment and ~/query, and ~/encode_text."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from geometry_msgs.msg import Point
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import Image

from lseg_ros.core.query import Relevance, ask, prepare_query
from lseg_ros.core.segmenter import PreparedLabels, Segmentation
from lseg_ros.core.worker import WorkerStopped
from lseg_ros.labels import LabelError
from lseg_ros.labels.registry import MAX_PROMPTS
from lseg_ros.labels.syntax import check_prompt, quote
from lseg_ros.nodes.awaiting import end_of
from lseg_ros.nodes.conversions import array_to_image, image_to_rgb, stamp_ns
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.label_modes import REPLACE
from lseg_ros.nodes.segmentation.camera_stream import CameraStream
from lseg_ros.nodes.segmentation.frames import Frame, Terms
from lseg_ros.nodes.segmentation.session import Session
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import EncodeText, QueryText, SegmentImage

QUEUE_LIMIT = 4
Request = TypeVar('Request')
Response = TypeVar('Response', SegmentImage.Response, QueryText.Response, EncodeText.Response)


class ImageServices:
    """Answers ~/segment, ~/query and ~/encode_text one after the other, in a thread of its own.

    That thread decodes images, encodes text and builds messages; the stream's thread runs the
    network for it between two batches. Requests beyond a queue of four are refused at once.
    """

    def __init__(self, node: Node, session: Session) -> None:
        """Create the services on `node`; they use the stream of `session`."""
        self._node = node
        self._session = session
        self._pending = 0  # counted in the executor's thread only
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='image services')
        # Reentrant, so that a request can be refused while others wait.
        group = ReentrantCallbackGroup()
        for kind, name, answer in (
            (SegmentImage, 'segment', self._segment),
            (QueryText, 'query', self._query),
            (EncodeText, 'encode_text', self._encode_text),
        ):
            node.create_service(
                kind, f'~/{name}', partial(self._answer, answer), qos_profile=SERVICE_QOS, callback_group=group
            )

    def close(self) -> None:
        """Finish the request under way, refuse those that wait, and end the thread."""
        self._thread.shutdown(cancel_futures=True)

    async def _answer(self, answer: Callable[[Request], Response], request: Request, response: Response) -> Response:
        if self._pending >= QUEUE_LIMIT:
            response.message = f'busy: {QUEUE_LIMIT} requests are waiting already; try again later'
            return response
        self._pending += 1
        job = self._thread.submit(answer, request)
        await end_of(self._node, job)
        self._pending -= 1
        error = job.exception()
        if error is None:
            return job.result()
        response.message = _reason(error)
        return response

    def _segment(self, request: SegmentImage.Request) -> SegmentImage.Response:
        stream = self._open_stream()
        image = image_to_rgb(request.image)
        own = None
        if request.labels:
            own = stream.segmenter.prepare(self._session.preview(REPLACE, request.labels))

        def run(terms: Terms) -> tuple[PreparedLabels, Segmentation]:
            prepared = own or terms.prepared
            threshold = terms.settings.confidence_threshold
            (result,) = stream.segmenter.segment([image], prepared, threshold=threshold)
            return prepared, result

        prepared, segmentation = stream.between_batches(run)
        header = request.image.header
        return SegmentImage.Response(
            success=True,
            label_image=array_to_image(segmentation.ids, 'mono8', header),
            confidence=array_to_image(segmentation.confidence, 'mono8', header),
            label_set=label_set_to_message(prepared.labels, stamp_ns(header)),
        )

    def _query(self, request: QueryText.Request) -> QueryText.Response:
        stream = self._open_stream()
        camera = _find_camera(stream, request.camera)
        labels = stream.between_batches(lambda terms: terms.prepared.labels)
        query = prepare_query(stream.segmenter, request.prompts, labels)

        def run(_: Terms) -> tuple[Frame, list[Relevance], Image | None]:
            frame = _last_frame(camera)
            relevance = ask(stream.segmenter, frame.image, query)
            return frame, relevance, camera.geometry.depth_of(frame)

        frame, found, depth = stream.between_batches(run)
        points = [camera.geometry.point_at(frame, depth, part.peak_u, part.peak_v) for part in found]
        return QueryText.Response(
            success=True,
            header=frame.header,
            relevance=[array_to_image(part.pixels, 'mono8', frame.header) for part in found],
            peak_relevance=[part.peak for part in found],
            peak_u=[part.peak_u for part in found],
            peak_v=[part.peak_v for part in found],
            peak_point=[Point(x=x, y=y, z=z) for x, y, z in points],
        )

    def _encode_text(self, request: EncodeText.Request) -> EncodeText.Response:
        segmenter = self._open_stream().segmenter
        if not 0 < len(request.prompts) <= MAX_PROMPTS:
            raise LabelError(f'{len(request.prompts)} prompts: give 1 to {MAX_PROMPTS}')
        rows = segmenter.encode_prompts([check_prompt(prompt) for prompt in request.prompts])
        return EncodeText.Response(
            success=True,
            model=segmenter.embedding_id,
            dim=rows.shape[1],
            rows=array('f', rows.cpu().numpy().tobytes()),
            logit_scale=segmenter.logit_scale,
        )

    def _open_stream(self) -> SegmentationStream:
        stream = self._session.stream
        if stream is None:
            raise ValueError('no model is loaded: configure the node first')
        return stream


def _find_camera(stream: SegmentationStream, name: str) -> CameraStream:
    if not name:
        return next(iter(stream.cameras.values()))
    if name not in stream.cameras:
        known = ', '.join(map(repr, stream.cameras))
        raise ValueError(f'no camera {quote(name)}: the node has {known}')
    return stream.cameras[name]


def _last_frame(camera: CameraStream) -> Frame:
    if camera.last_frame is None:
        name = f'camera {camera.camera.name}' if camera.camera.name else 'the camera'
        raise ValueError(f'no image of {name} has been segmented yet')
    return camera.last_frame


def _reason(error: BaseException) -> str:
    if isinstance(error, WorkerStopped):
        return 'the node was cleaned up meanwhile'
    if isinstance(error, ValueError):
        return str(error)
    return f'{type(error).__name__}: {error}'
