// The phone's page: takes an offer out of the address, or goes on with the session that it has.
import { mount } from "svelte";
import "../styles/base.css";
import { takeOffer } from "./offer";
import Phone from "./Phone.svelte";
import "./phone.css";

const target = document.getElementById("app");
if (!target) throw new Error("phone.html has no #app");

mount(Phone, { target, props: { offer: takeOffer() } });
