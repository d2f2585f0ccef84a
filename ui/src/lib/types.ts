// The agent's data types, as `docs/api.md` describes them.
import type { PendingState } from "./pairing";

export type State =
  | { kind: "local" }
  | { kind: "never" }
  | { kind: "up_to_date"; at: string }
  | { kind: "pending"; at: string | null }
  | { kind: "kept"; at: string | null; message: string; hint: string }
  | { kind: "paused"; until: string | null; at: string | null }
  | { kind: "syncing"; phase: Phase; done: number; total: number | null }
  | {
      kind: "error";
      code: string;
      message: string;
      hint: string | null;
      since: string;
      retry_at: string | null;
      last_ok: string | null;
    }
  | { kind: "missing"; message: string; hint: string | null };

export type Phase = "clone" | "pull" | "push" | "sync" | "rebuild";

export interface CheckInSummary {
  hash: string;
  time: string;
  user: string;
  comment: string;
  branch: string;
}

export interface Remote {
  url: string;
  user: string | null;
}

export interface Repository {
  name: string;
  path: string;
  project_code: string | null;
  project_name: string | null;
  size: number;
  check_ins: number;
  artifacts: number;
  last_check_in: CheckInSummary | null;
  remote: Remote | null;
  clone_url: string | null;
  notify: boolean;
  state: State;
}

export interface AgentInfo {
  version: string;
  peer_id: string;
  endpoint_id: string | null;
  pid: number;
  started_at: string;
  shell: boolean;
  /** Whether it keeps questions; without, there are no threads to ask for. */
  notify: boolean;
}

/** Nothing is pulled or pushed by itself; `until` is `null` when a person ends it. */
export interface Pause {
  until: string | null;
}

export interface Status {
  agent: AgentInfo;
  state: State;
  pause: Pause | null;
  repositories: Repository[];
}

/** What the agent says went wrong; programs compare `code`, people read `message`. */
export interface Problem {
  code: string;
  message: string;
  hint: string | null;
  retryable: boolean;
}

export interface Job {
  id: string;
  kind: "clone";
  title: string;
  remote: Remote;
  path: string;
  state: "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number | null;
  bytes: number;
  error: Problem | null;
  repository: string | null;
}

export interface Created {
  repository: Repository;
  user: string;
  password: string;
}

export type Role = "peer" | "hub" | "leaf";

export type Chosen = "default" | "flag" | "app" | "mesh" | "machine" | "network";

export type LinkState =
  | { kind: "connected"; since: string }
  | { kind: "connecting"; since: string }
  | { kind: "standby" }
  | { kind: "unused"; message: string }
  | ({ kind: "error" } & Failure)
  | { kind: "gone"; since: string };

/** Something that failed and is tried again. */
export interface Failure {
  code: string;
  message: string;
  hint: string | null;
  since: string;
  retry_at: string | null;
}

export interface Address {
  kind: "client" | "leaf" | "route" | "tunnel" | "lan";
  url: string;
  /** What is listened on. */
  listen: string;
  local: boolean;
}

export interface Join {
  id: string;
  url: string;
  from: Chosen;
  state: LinkState;
  peer: string | null;
}

/** A NATS server that is no agent. */
export interface Upstream {
  url: string;
  state: LinkState;
}

/** A stock Fossil server that is on the bus by a bridge. */
export interface Bridge {
  id: string;
  url: string;
  user: string | null;
  project_code: string;
  from: Chosen;
  state: LinkState;
  answered: number;
  failed: number;
  last_request: string | null;
}

/** How the tunnel is to be. */
export interface SetTunnel {
  on: boolean;
  public: boolean;
  relays: string[];
  lan: boolean;
}

/** The tunnel as it is, and who chose that. */
export interface Tunnel extends SetTunnel {
  from: Chosen;
}

/** The way of a link over the tunnel. */
export interface TunnelWay {
  path: "direct" | "relay";
  address: string;
  round_trip_ms: number | null;
}

/** A repository that another agent offers. */
export interface Available {
  name: string;
  project_code: string;
  size: number;
  capabilities: string;
  here: boolean;
}

export interface Peer {
  endpoint_id: string | null;
  name: string;
  kind: "agent" | "server" | "bridge";
  role: Role | null;
  state: LinkState;
  link: "route" | "leaf" | "via" | null;
  dialled: boolean;
  address: string | null;
  round_trip_ms: number | null;
  tunnel: TunnelWay | null;
  trusted: boolean;
  capabilities: string;
  projects: Record<string, string>;
  repositories: string[];
  available: Available[];
  heard_at: string | null;
  last_ok: string | null;
  error: Failure | null;
}

export interface Counters {
  since: string;
  messages_in: number;
  messages_out: number;
  bytes_in: number;
  bytes_out: number;
  announced: number;
  heard: number;
  pulls: number;
  pulls_over_tunnel: number;
  pulled_artifacts: number;
  found_by: { announcement: number; hello: number; poll: number };
  refused: number;
  violations: number;
  slow_consumers: number;
  lost: number;
}

export interface Mesh {
  role: Role;
  role_from: Chosen;
  peer_id: string;
  endpoint_id: string;
  cluster: string;
  addresses: Address[];
  tunnel: Tunnel;
  ticket: string | null;
  joins: Join[];
  upstream: Upstream | null;
  mesh: { id: string; name: string; notify: string | null } | null;
  members: Member[];
  revoked: Revoked[];
  bridges: Bridge[];
  peers: Peer[];
  counters: Counters;
}

/** Another member of the mesh. */
export interface Member {
  endpoint_id: string;
  name: string;
  capabilities: string;
  projects: Record<string, string>;
  vouched_by: string[];
  since: string;
  told_at: string | null;
  /** Whether it has shown that it keeps its pairing with this computer. */
  confirmed: boolean;
}

/** A member that was; `unheard` have not said yet that they know. */
export interface Revoked {
  endpoint_id: string;
  name: string | null;
  by: string;
  at: string;
  unheard: string[];
}

/** Another agent that is to become a member. */
export interface PendingAgent extends PendingDevice {
  by: "offer" | "knock" | "here";
}

/** How it stands with agents that are to become members. */
export interface AgentPairing {
  offer: OpenOffer | null;
  pending: PendingAgent[];
}

export interface Trusted {
  endpoint_id: string;
  name: string | null;
  capabilities: string;
  from: Chosen;
  since: string | null;
}

export type Priority = "info" | "action_required" | "urgent";

export interface Action {
  id: string;
  label: string;
}

export type QuestionState =
  | { kind: "open" }
  | { kind: "sent"; answer: string }
  | { kind: "overdue" }
  | {
      kind: "resolved";
      source: "answer" | "default" | "expired" | "cancelled";
      answer: string | null;
      label: string | null;
      message: string | null;
      by: string | null;
      by_name: string | null;
      time: string;
    };

export interface Message {
  id: string;
  thread: string;
  project: string;
  from: string;
  from_name: string;
  sender: "own" | "trusted" | "stranger" | "unsigned" | "forged";
  time: string;
  body: string;
  priority: Priority;
  kind: "message" | "question" | "approval" | "answer" | "resolution";
  actions: Action[];
  takes_text: boolean;
  reply_to: string | null;
  action: Action | null;
  media: string[];
  expires_at: string | null;
  default: string | null;
  click: string | null;
  tags: string[];
  late: boolean;
  question: QuestionState | null;
  delivered_to: string[];
}

export interface Thread {
  id: string;
  short: string;
  project: string;
  title: string;
  messages: number;
  priority: Priority;
  time: string;
  last_from: string;
  last_body: string;
  waiting: Message | null;
  done: boolean;
}

/** What a person chose about notifications. */
export interface NotifySettings {
  quiet: QuietHours | null;
  muted: string[];
  notifier: { name: string; buttons: boolean } | null;
}

/** Times of day, `22:00`. */
export interface QuietHours {
  from: string;
  until: string;
}

export interface Conversation {
  thread: Thread;
  messages: Message[];
}

export interface OpenOffer {
  expires_at: string;
  tries: number;
}

export interface PendingDevice {
  id: string;
  name: string | null;
  digits: string | null;
  state: PendingState;
  why: string | null;
  since: string;
  until: string;
}

export interface Device {
  id: string;
  name: string;
  projects: string[] | null;
  answers: boolean;
  paired_at: string;
  used_at: string | null;
  connected: boolean;
}

export interface Devices {
  door: { listen: string; url: string; error: string | null } | null;
  addresses: string[];
  offer: OpenOffer | null;
  pending: PendingDevice[];
  devices: Device[];
}

export interface MadeOffer {
  url: string;
  code: string;
  svg: string;
  text: string;
  expires_at: string;
}

export type Verdict = "pass" | "warn" | "fail";

/** One look of the doctor: what was found, and the command or act that rights it. */
export interface Check {
  name: string;
  verdict: Verdict;
  message: string;
  fix: string | null;
}

export interface Checkup {
  ok: boolean;
  checks: Check[];
}

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export interface LogLine {
  at: string;
  level: LogLevel;
  target: string;
  message: string;
  fields?: Record<string, string>;
}

/** Lines of the agent's log; `first` is the number of the first one. */
export interface LogPage {
  file: string | null;
  first: number;
  lines: LogLine[];
}

export type AgentEvent =
  | ({ event: "status" } & Status)
  | { event: "repository"; repository: Repository }
  | { event: "removed"; name: string }
  | { event: "job"; job: Job }
  | { event: "mesh"; mesh: Mesh }
  | { event: "message"; message: Message; show: boolean }
  | { event: "question"; message: Message }
  | { event: "thread"; thread: Thread }
  | { event: "notify_settings"; settings: NotifySettings }
  | { event: "devices"; devices: Devices }
  | { event: "pairing"; pairing: AgentPairing }
  | { event: "folded"; from: string; from_name: string; count: number }
  | { event: "log"; at: string; level: string; message: string; repository: string | null }
  | { event: "beat" };

export type RowKind = "ci" | "w" | "t" | "e" | "g" | "f";

export interface Line {
  from: number;
  to: number;
  branch: string;
  kind: "parent" | "merge";
}

export interface TimelineRow {
  kind: RowKind;
  hash: string;
  time: string;
  user: string;
  comment: string;
  branch: string | null;
  tags: string[];
  closed: boolean;
  leaf: boolean;
  merge: boolean;
  lane: number | null;
  lines: Line[];
}

export interface TimelinePage {
  total: number;
  offset: number;
  lanes: number;
  rows: TimelineRow[];
}

export interface Relative {
  hash: string;
  comment: string;
  merge: boolean;
}

export type Permissions = "file" | "executable" | "symlink";

export interface ChangedFile {
  path: string;
  old_path: string | null;
  change: "added" | "modified" | "deleted" | "renamed";
  permissions: Permissions;
  hash: string | null;
  old_hash: string | null;
  size: number;
  binary: boolean;
  additions: number | null;
  deletions: number | null;
}

export interface CheckIn {
  hash: string;
  time: string;
  user: string;
  comment: string;
  branch: string;
  tags: string[];
  parents: Relative[];
  children: Relative[];
  files: ChangedFile[];
  files_total: number;
}

export interface Span {
  text: string;
  changed: boolean;
}

export interface DiffLine {
  kind: "context" | "add" | "delete";
  old: number | null;
  new: number | null;
  spans: Span[];
  newline: boolean;
}

export interface Hunk {
  old_start: number;
  old_lines: number;
  new_start: number;
  new_lines: number;
  lines: DiffLine[];
}

export interface FileDiff {
  path: string;
  old_path: string | null;
  binary: boolean;
  truncated: boolean;
  hunks: Hunk[];
}

export interface FileEntry {
  path: string;
  hash: string;
  size: number;
  permissions: Permissions;
}

export interface FileList {
  hash: string;
  files: FileEntry[];
}

export interface FileContent extends FileEntry {
  binary: boolean;
  text: string | null;
  truncated: boolean;
}
