"""One model in memory, compiled once; what a button of the page does with it."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hyperstyle_jax import images
from hyperstyle_jax.app import cutting
from hyperstyle_jax.app.session import Inverted, Session
from hyperstyle_jax.editing import looks, recipes
from hyperstyle_jax.editing.looks import Look
from hyperstyle_jax.editing.recipes import Recipe
from hyperstyle_jax.images import originals
from hyperstyle_jax.inversion import hyperstyle, pipeline
from hyperstyle_jax.inversion.hyperstyle import Refinement, RefinementState
from hyperstyle_jax.offsets import Inversion, LayerEmbeddings, generator_of
from hyperstyle_jax.photos.face import Finder
from hyperstyle_jax.photos.photo import Photo
from hyperstyle_jax.weights.bundle import Bundle


class Iteration(NamedTuple):
    """An inversion in the making.

    Attributes:
        image: [h, w, 3] uint8.
        number: of iterations so far.
        session: in which it is inverted, after the last of them.
    """

    image: np.ndarray
    number: int
    session: Session


class Engine:
    """A bundle with all that the page asks of it; it keeps nothing of anybody's.

    Args:
        model: with encoder, hypernetwork and generator.
        find: finds faces; None takes the middle of a picture as the face.
        num_iters: T, by default the bundle's own.
    """

    def __init__(
        self, model: Bundle, find: Finder | None = None, num_iters: int | None = None
    ):
        self.model, self.find = model, find
        self._encoder, self._hypernet, self._generator = model.require(
            "encoder", "hypernet", "generator"
        )
        self.num_iters = pipeline.checked_num_iters(model, num_iters)
        self.side = pipeline.crop_side(model)

    def compile(self) -> Iterator[tuple[str, float]]:
        """Compiles what the page runs; yields what is ready and how long it took."""
        start = time.perf_counter()
        grey = np.full((self.side, self.side, 3), 128, np.uint8)
        session = self.open(images.encode_png(grey), "grey", whole=True)
        for step in self.invert(session):
            if step.number < 2:
                yield f"iteration {step.number}", time.perf_counter() - start
        self.draw(step.session)
        yield "edits", time.perf_counter() - start

    def open(self, data: bytes, name: str, whole: bool = False) -> Session:
        """A new session with a photo and the faces in it, the largest chosen.

        Args:
            data: of an image file.
            name: of the file, for messages.
            whole: takes the middle of the picture as the face.

        Raises:
            ValueError: no image that can be read, or no face in it.
        """
        photo = Photo.open(data, name)
        if self.find is None or whole:
            faces = [cutting.middle_face(photo.image)]
        else:
            faces = self.find(photo.image, name)
        if not faces:
            raise ValueError(
                f"{name}: no face found; one that is seen from the side, hidden or "
                "smaller than about 40 pixels cannot be found. Tick “no face search” "
                "to take the middle of the picture"
            )
        found = "middle of the picture" if self.find is None or whole else "found"
        notes = {"photo": photo.sha256, "face": found}
        return self.choose(Session(photo, tuple(faces), notes=notes), 0)

    def choose(self, session: Session, number: int) -> Session:
        """Another face of the photo, cut out; nothing of it is inverted yet.

        Raises:
            ValueError: there is no such face, or it cannot be cut out.
        """
        photo, faces = session.need_photo(), session.faces
        if not 0 <= number < len(faces):
            raise ValueError(f"no face {number}: there are {len(faces)}, from 0")
        aligned = cutting.cut(photo, faces[number], self.side)
        cleared = session._replace(inverted=None, look=Look())
        notes = {**session.notes, "number": number}
        return cleared._replace(chosen=number, aligned=aligned, notes=notes)

    def invert(self, session: Session) -> Iterator[Iteration]:
        """Inverts the chosen face by HyperStyle, one iteration after the other.

        Yields:
            The initial inversion first.

        Raises:
            ValueError: no photo yet.
        """
        session.need_photo()
        x = pipeline.prepare(self.model, [session.aligned.image])
        state = self._initial(x)
        for i in range(self.num_iters):
            yield _iteration(state, i, session)
            state = _refine(self._hypernet, self._generator, x, state, i)
        embeddings = LayerEmbeddings(state.embeddings, self.num_iters)
        refinement = Refinement(state.w_plus, embeddings, state.image[None])
        inversion = pipeline.decode(self.model, refinement)
        notes = {"method": "hyperstyle", "num_iters": self.num_iters}
        done = self.take(session, inversion, dict(session.notes) | notes)
        yield _iteration(state, self.num_iters, done)

    def _initial(self, x: np.ndarray) -> RefinementState:
        w_plus, image = _encode(self._encoder, self._generator, jnp.asarray(x))
        module = self._hypernet.module
        embeddings = hyperstyle.no_embeddings(module, len(x), self.num_iters)
        return RefinementState(w_plus, embeddings, image)

    def take(self, session: Session, inversion: Inversion, notes: dict) -> Session:
        """The session with an inversion of its face, by any method, without edits."""
        net = generator_of(self._generator, inversion)
        before = images.to_uint8(np.asarray(_draw(net, inversion.w_plus[0])))
        target = None
        if session.aligned is not None:
            target = images.resize(session.aligned.image, *before.shape[:2])
        inverted = Inverted(inversion, net, target, before)
        return session._replace(inverted=inverted, look=Look(), notes=notes)

    def draw(self, session: Session) -> np.ndarray:
        """The picture as the session's look wants it, [R, R, 3] uint8.

        Raises:
            ValueError: nothing was inverted yet, or the look does not fit the bundle.
        """
        inverted, look = session.need_inverted(), session.look
        looks.check(self.model, look)
        w_plus = looks.apply(self.model, inverted.inversion, look).w_plus[0]
        after = images.to_uint8(np.asarray(_draw(inverted.net, w_plus)))
        return looks.within(look.mask, inverted.before, after)

    def paste(self, session: Session) -> Photo:
        """The whole photo with the edited face.

        Raises:
            ValueError: no photo, or nothing inverted.
        """
        photo, picture = session.need_photo(), self.draw(session)
        mask = "crop" if session.notes.get("face") != "found" else "face"
        return photo.paste(session.aligned, picture, mask)

    def photo_file(self, session: Session) -> tuple[str, bytes]:
        """The ending and the content of a file of `paste`, a JPEG if one was given."""
        original = self.paste(session).original
        ending = originals.same_ending(original)
        kind = {".jpg": "JPEG", ".webp": "WEBP"}.get(ending, "PNG")
        return ending, originals.encode(original, kind)

    def recipe(self, session: Session) -> Recipe:
        """What the picture was made of."""
        inversion = session.need_inverted().inversion
        data = recipes.npz(inversion, self.model)
        return Recipe(data, session.look, session.notes)

    def npz(self, session: Session) -> bytes:
        """The inversion as it is shown, for other commands; masks are not in it."""
        inversion = session.need_inverted().inversion
        return recipes.npz(looks.apply(self.model, inversion, session.look), self.model)

    def restore(self, recipe: Recipe, session: Session) -> Session:
        """The session in which a recipe's picture was made.

        Args:
            recipe: of a file.
            session: whose photo stays, if it is the one of the recipe.

        Raises:
            ValueError: the recipe is of another bundle, or damaged.
        """
        inversion = recipes.restore(self.model, recipe)
        same = session.photo and session.photo.sha256 == recipe.notes.get("photo")
        kept = session if same else Session()
        if same:
            number = recipe.notes.get("number", 0)
            kept = self.choose(session, number if isinstance(number, int) else 0)
        return self.take(kept, inversion, dict(recipe.notes))._replace(look=recipe.look)


def _iteration(state: RefinementState, number: int, session: Session) -> Iteration:
    return Iteration(images.to_uint8(np.asarray(state.image[0])), number, session)


@jax.jit
def _draw(net, w_plus) -> jax.Array:
    """[L, D] → [R, R, 3]."""
    return net(w_plus[None], "const", method="synthesis")[0]


_encode = jax.jit(hyperstyle.initial_inversion)
_refine = jax.jit(hyperstyle.refine)
