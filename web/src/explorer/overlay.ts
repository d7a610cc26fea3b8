// The upper canvas of the plane: the point, the region, the path, posteriors and the hovered image.
import { line } from "./images";
import { NONE } from "./context";
import type { Plane } from "./plane";
import { paintTile, thumbnailSize, THUMBNAILS } from "./points";
import { ellipse } from "./posterior";
import type { Point } from "./state";

const PATH = 40; // points of the line of an interpolation

export function paintOverlay(pen: CanvasRenderingContext2D, plane: Plane): void {
  const { camera, context, state } = plane;
  pen.clearRect(0, 0, camera.width, camera.height);
  paintRegion(pen, plane, plane.moving ?? state.lasso);
  paintPath(pen, plane);
  const found = ellipse(context, plane.run);
  if (found && context.state.image !== NONE) paintEllipse(pen, plane, found);
  paintRing(pen, plane, context.state.image, 2.5);
  paintHovered(pen, plane);
  if (plane.decodes) paintPoint(pen, plane);
}

function paintRegion(pen: CanvasRenderingContext2D, plane: Plane, region: Point[]): void {
  if (region.length < 2) return;
  const { colours } = plane.context;
  pen.beginPath();
  region.map((place) => plane.camera.at(place)).forEach(([x, y]) => pen.lineTo(x, y));
  pen.closePath();
  pen.globalAlpha = 0.1;
  pen.fillStyle = colours.accent;
  pen.fill();
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 1.5;
  pen.stroke();
}

function paintPath(pen: CanvasRenderingContext2D, plane: Plane): void {
  const { context, camera, model, state } = plane;
  const { colours } = context;
  const { a, b, axes } = state;
  if (a.length && b.length) {
    const codes = model.between(a, b, PATH, context.state.curved);
    const places = codes.map((z) => camera.at(model.project(z, axes)));
    halo(pen, colours.paper, colours.accent, 2.5, () => line(pen, places));
  }
  for (const [name, z] of [
    ["A", a],
    ["B", b],
  ] as const) {
    if (!z.length) continue;
    const [x, y] = camera.at(model.project(z, axes));
    pen.fillStyle = colours.accent;
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 10, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
    pen.fillStyle = colours.paper;
    pen.font = "700 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(name, x, y + 0.5);
  }
}

function halo(
  pen: CanvasRenderingContext2D,
  paper: string,
  colour: string,
  width: number,
  draw: () => void,
): void {
  for (const [style, size] of [
    [paper, width + 3],
    [colour, width],
  ] as const) {
    pen.strokeStyle = style;
    pen.lineWidth = size;
    draw();
  }
}

/** Two standard deviations of a posterior, from its mean and covariance in the plane. */
function paintEllipse(
  pen: CanvasRenderingContext2D,
  plane: Plane,
  found: NonNullable<ReturnType<typeof ellipse>>,
): void {
  const { camera, context } = plane;
  const [x, y] = camera.at(found.centre);
  const [xx, yy, xy] = found.covariance;
  const middle = (xx + yy) / 2;
  const root = Math.sqrt(((xx - yy) / 2) ** 2 + xy ** 2);
  const radii = [middle + root, middle - root].map(
    (v) => 2 * Math.sqrt(Math.max(0, v)) * camera.scale,
  );
  const angle = -0.5 * Math.atan2(2 * xy, xx - yy);
  const draw = () => {
    pen.beginPath();
    pen.ellipse(x, y, Math.max(2, radii[0]!), Math.max(2, radii[1]!), angle, 0, 2 * Math.PI);
    pen.stroke();
  };
  halo(pen, context.colours.paper, context.colours.ink, 1.75, draw);
}

function paintRing(
  pen: CanvasRenderingContext2D,
  plane: Plane,
  image: number,
  width: number,
): void {
  const place = plane.placeOf(image);
  if (!place) return;
  const [x, y] = plane.camera.at(place);
  const { colours } = plane.context;
  const draw = () => {
    pen.beginPath();
    pen.arc(x, y, 7, 0, 2 * Math.PI);
    pen.stroke();
  };
  halo(pen, colours.paper, colours.ink, width, draw);
}

function paintHovered(pen: CanvasRenderingContext2D, plane: Plane): void {
  const { context, camera } = plane;
  const image = context.hovered;
  const place = plane.placeOf(image);
  if (!place) return;
  const at = camera.at(place);
  const pictures = context.pictures[plane.run]!;
  const { colour } = plane.colouring.styles[plane.colouring.of[image]!]!;
  if (camera.view.k >= THUMBNAILS && pictures.data.form !== "table") {
    pen.imageSmoothingEnabled = false;
    const layer = { pictures, large: context.state.large } as never;
    paintTile(pen, pictures, image, at, 1.6 * thumbnailSize(camera, layer), colour, 3);
    pen.imageSmoothingEnabled = true;
  } else {
    paintRing(pen, plane, image, 1.75);
  }
}

function paintPoint(pen: CanvasRenderingContext2D, plane: Plane): void {
  const { camera, context, model, state } = plane;
  const [x, y] = camera.at(model.project(state.z, state.axes));
  const { colours } = context;
  const size = context.state.large ? 13 : 10;
  pen.beginPath();
  pen.arc(x, y, size, 0, 2 * Math.PI);
  pen.fillStyle = colours.accent;
  pen.globalAlpha = 0.22;
  pen.fill();
  pen.globalAlpha = 1;
  const draw = () => {
    pen.beginPath();
    pen.arc(x, y, size, 0, 2 * Math.PI);
    pen.moveTo(x - size - 6, y);
    pen.lineTo(x - size + 5, y);
    pen.moveTo(x + size - 5, y);
    pen.lineTo(x + size + 6, y);
    pen.moveTo(x, y - size - 6);
    pen.lineTo(x, y - size + 5);
    pen.moveTo(x, y + size - 5);
    pen.lineTo(x, y + size + 6);
    pen.stroke();
  };
  halo(pen, colours.paper, colours.accent, 2.5, draw);
  pen.fillStyle = colours.accent;
  pen.beginPath();
  pen.arc(x, y, 2.5, 0, 2 * Math.PI);
  pen.fill();
}
