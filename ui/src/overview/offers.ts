// What other agents offer to clone and is not here.
import type { Available, Job, Peer, Repository } from "../lib/types";

export interface Offer {
  /** Whose it is. */
  peer: Peer;
  repository: Available;
  /** As a clone takes it. */
  address: string;
}

/** What can be cloned now: not what is here, is being cloned, or may not be read. */
export function offersOf(peers: Peer[], repositories: Repository[], jobs: Job[]): Offer[] {
  const here = new Set(repositories.map((each) => each.project_code));
  const coming = new Set(jobs.filter((job) => job.state === "running").map((job) => job.remote.url));
  return peers
    .flatMap((peer) => peer.available.map((repository) => ({ peer, repository, address: addressOf(peer, repository, peers) })))
    .filter(({ repository, address }) => !repository.here && repository.capabilities.includes("g") && !here.has(repository.project_code) && !coming.has(address));
}

/** The address with names, for people, where they are enough; else with the id. */
function addressOf(peer: Peer, repository: Available, peers: Peer[]): string {
  const isClear = !peer.name.includes("/") && peers.filter((each) => each.name === peer.name).length === 1;
  const isUnique = peer.available.filter((each) => each.name === repository.name).length === 1;
  return `iroh:${isClear ? peer.name : peer.endpoint_id}/${isUnique ? repository.name : repository.project_code}`;
}
