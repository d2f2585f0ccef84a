// Builds the page that the agent embeds: static files under `dist`, addressed from the root because deep links
// (`/r/NAME/timeline`) are answered with the same `index.html`.
import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte({ configFile: false })],
  build: {
    // The agent's policy is `default-src 'self'`: nothing may become a `data:` URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ["es2022", "chrome120", "safari17", "firefox120"],
    cssTarget: ["chrome123", "safari17.5", "firefox120"],
    reportCompressedSize: false,
    // The app's page, and the one that phones get.
    rolldownOptions: { input: ["index.html", "phone.html"].map((name) => fileURLToPath(new URL(name, import.meta.url))) },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
