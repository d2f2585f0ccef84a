// Bytes of an artifact as something a browser shows or saves. They come through the API, which wants the token.
import { baseName } from "../lib/format";

const types: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
  svg: "image/svg+xml",
};

/** The media type of a file that is shown as a picture, or `null`. */
export function imageType(path: string): string | null {
  const extension = /\.([^.]+)$/.exec(baseName(path))?.[1]?.toLowerCase() ?? "";
  return types[extension] ?? null;
}

/** Saves bytes under a name, as a click on a link to them would. */
export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser has taken the bytes once the click is dispatched and the queue has run.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
