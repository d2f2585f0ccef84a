// The page's entry: takes the token out of the address, then follows the agent and mounts the app.
import { mount } from "svelte";
import App from "./App.svelte";
import { watchAgent } from "./lib/agent.svelte";
import { takeToken } from "./lib/token";
import "./styles/base.css";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no #app");

takeToken();
void watchAgent();
mount(App, { target });
