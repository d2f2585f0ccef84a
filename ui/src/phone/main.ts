// The phone's page: takes an offer out of the address, or goes on with the session that it has. An offer that is opened where the page is open already
// begins as in a new one.
import { mount } from "svelte";
import "../styles/base.css";
import { hasOffer, takeOffer } from "./offer";
import Phone from "./Phone.svelte";
import "./phone.css";

const target = document.getElementById("app");
if (!target) throw new Error("phone.html has no #app");

mount(Phone, { target, props: { offer: takeOffer() } });

// An address that differs behind the `#` alone loads nothing by itself.
addEventListener("hashchange", () => {
  if (hasOffer()) location.reload();
});
