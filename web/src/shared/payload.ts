// What a page carries: a JSON document, and one block of bytes that holds all its arrays.
//
// <script type="application/json" id="vaelab-json">   the document; an array in it is a `Ref`
// <script type="text/plain" id="vaelab-bytes">        base64 of the deflated bytes of the arrays

/** The place of an array in the block of bytes. */
export interface Ref {
  dtype: "float32" | "int16" | "uint8";
  shape: number[];
  offset: number; // bytes, a multiple of 4
  /** Fixed point by row: the value of an element is scale[row] * stored. */
  scale?: Ref;
  /** Eight more bits: the value is scale[row] * (256 * stored + low). */
  low?: Ref;
}

export type Numbers = Float32Array | Int16Array | Uint8Array;

/** The document of a page and access to its arrays. */
export class Payload<Document> {
  constructor(
    readonly document: Document,
    private readonly bytes: ArrayBuffer,
  ) {}

  /** The stored elements of an array, without copying them. */
  raw(ref: Ref): Numbers {
    const size = ref.shape.reduce((a, b) => a * b, 1);
    switch (ref.dtype) {
      case "float32":
        return new Float32Array(this.bytes, ref.offset, size);
      case "int16":
        return new Int16Array(this.bytes, ref.offset, size);
      case "uint8":
        return new Uint8Array(this.bytes, ref.offset, size);
    }
  }

  /** The values of an array as float32; fixed point is scaled by rows (the first axis). */
  floats(ref: Ref): Float32Array {
    const stored = this.raw(ref);
    if (!ref.scale) return stored instanceof Float32Array ? stored : Float32Array.from(stored);
    const scale = this.floats(ref.scale);
    const low = ref.low && this.raw(ref.low);
    const width = stored.length / scale.length;
    const values = new Float32Array(stored.length);
    for (let row = 0; row < scale.length; row++) {
      const step = scale[row]!;
      for (let i = row * width, end = i + width; i < end; i++) {
        values[i] = (low ? 256 * stored[i]! + low[i]! : stored[i]!) * step;
      }
    }
    return values;
  }
}

/** Reads the document and the bytes that this page carries. */
export async function readPayload<Document>(): Promise<Payload<Document>> {
  const json = document.getElementById("vaelab-json")!.textContent!;
  const base64 = document.getElementById("vaelab-bytes")!.textContent!.trim();
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  return new Payload(JSON.parse(json) as Document, bytes);
}
