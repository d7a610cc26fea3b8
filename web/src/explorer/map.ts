// The plane decoded: a tile for each place, as fine as the zoom, like the tiles of a street map.
import type { Camera } from "./camera";
import type { Context } from "./context";
import { slowly } from "./frames";

const SIDE = 46; // pixels of a tile, about
const MOST = 3000; // tiles that are kept

export class DecodedMap {
  private tiles = new Map<string, HTMLCanvasElement>();
  private slice = "";
  private wanted: [key: string, x: number, y: number][] = [];
  private readonly step = () => this.decode();

  constructor(
    private readonly context: Context,
    private readonly run: number,
    private readonly changed: () => void, // asks for another call of `paint`
  ) {}

  /** Paints what is decoded already, and decodes the rest from the middle outwards. */
  paint(pen: CanvasRenderingContext2D, camera: Camera): void {
    this.renew();
    const level = Math.round(Math.log2(camera.scale / SIDE));
    const size = 2 ** -level;
    const [left, top] = camera.place([0, 0]);
    const [right, bottom] = camera.place([camera.width, camera.height]);
    this.wanted = [];
    for (let i = Math.floor(left / size); i * size < right; i++) {
      for (let j = Math.floor(bottom / size); j * size < top; j++) {
        const key = `${level}/${i}/${j}`;
        if (!this.tiles.has(key)) this.wanted.push([key, (i + 0.5) * size, (j + 0.5) * size]);
        this.paintTile(pen, camera, level, i, j);
      }
    }
    const far = ([, x, y]: (typeof this.wanted)[0]) =>
      (x - camera.view.x) ** 2 + (y - camera.view.y) ** 2;
    this.wanted.sort((a, b) => far(b) - far(a)); // the nearest last, and taken first
    if (this.wanted.length) slowly(this.step);
  }

  /** A tile, or what a coarser one shows of its place. */
  private paintTile(
    pen: CanvasRenderingContext2D,
    camera: Camera,
    level: number,
    i: number,
    j: number,
  ): void {
    const size = 2 ** -level;
    const [x, y] = [camera.px(i * size), camera.py((j + 1) * size)];
    const side = size * camera.scale;
    for (let up = 0; up < 4; up++) {
      const tile = this.tiles.get(`${level - up}/${i >> up}/${j >> up}`);
      if (!tile) continue;
      const parts = 2 ** up;
      const [w, h] = [tile.width / parts, tile.height / parts];
      const column = i - ((i >> up) << up);
      const row = parts - 1 - (j - ((j >> up) << up));
      pen.drawImage(tile, column * w, row * h, w, h, x, y, side + 0.5, side + 0.5);
      return;
    }
  }

  /** Forgets the tiles where they show another slice of the latent space, or another look. */
  private renew(): void {
    const { context, run } = this;
    const { fade, noisy } = context.state;
    const { z, axes } = context.state.runs[run]!;
    const model = context.models[run]!;
    const rest = model.lift([0, 0], z, axes).map((value) => Math.round(value * 1e3));
    const slice = JSON.stringify([rest, axes, fade, noisy, model.label, context.colours.paper]);
    if (slice === this.slice && this.tiles.size < MOST) return;
    this.slice = slice;
    this.tiles = new Map();
  }

  /** Decodes the nearest tile that is wanted. */
  private decode(): boolean {
    const { context, run } = this;
    const model = context.models[run]!;
    const { z, axes } = context.state.runs[run]!;
    const next = this.wanted.pop();
    if (!next) return false;
    const [key, x, y] = next;
    const code = model.lift([x, y], z, axes);
    const picture = document.createElement("canvas");
    const values = model.decode(code, context.state.noisy);
    context.pictures[run]!.paint(picture, values, SIDE, SIDE);
    this.tiles.set(key, context.state.fade ? this.faded(picture, code) : picture);
    this.changed();
    return this.wanted.length > 0;
  }

  private faded(picture: HTMLCanvasElement, code: number[]): HTMLCanvasElement {
    const { fade } = this.context.models[this.run]!.thinness(code);
    if (!fade) return picture;
    const tile = document.createElement("canvas");
    [tile.width, tile.height] = [picture.width, picture.height];
    const pen = tile.getContext("2d")!;
    pen.globalAlpha = 1 - 0.92 * fade;
    pen.drawImage(picture, 0, 0);
    return tile;
  }
}
