//! Every cap on what a message may cost, each with its reason.

/// Longest body, in bytes. A screenful is 4 KiB; this is room for a log excerpt, and four of it fit into one bus message.
pub const MAX_BODY_BYTES: usize = 64 << 10;

/// Longest message as it goes over the bus, in bytes: a body whose every byte is escaped stays below it in all usual texts, and
/// no server of ours or others' takes less.
pub const MAX_MESSAGE_BYTES: usize = 256 << 10;

/// Longest name of a project, in bytes. It is part of a subject and of a path.
pub const MAX_PROJECT_BYTES: usize = 64;

/// Longest name that a sender or a label shows, in bytes. Longer ones fit on no button and in no list.
pub const MAX_LABEL_BYTES: usize = 80;

/// Longest id of an action, in bytes: a label with its spaces replaced.
pub const MAX_ACTION_ID_BYTES: usize = MAX_LABEL_BYTES;

/// Most actions of a message. Systems show two to ten; the rest are in the window.
pub const MAX_ACTIONS: usize = 20;

/// Most attachments of a message.
pub const MAX_MEDIA: usize = 16;

/// Longest name of an attachment, in bytes; what file systems take.
pub const MAX_MEDIA_NAME_BYTES: usize = 255;

/// Most bytes of one attachment.
pub const MAX_ATTACHMENT_BYTES: u64 = 16 << 20;

/// Most bytes of all attachments in one repository, which every device of a mesh holds.
pub const MAX_ATTACHMENTS_BYTES: u64 = 256 << 20;

/// How deep the values of unknown members may nest.
pub const MAX_DEPTH: usize = 16;

/// Most messages of a thread. Each check-in names all files of its thread, so a thread costs the square of its length.
pub const MAX_THREAD_MESSAGES: usize = 2_000;

/// Longest text of a check-in's comment, in bytes; the timeline shows a line or two.
pub const MAX_COMMENT_BYTES: usize = 400;

/// Longest excerpt of a body that lists show, in bytes.
pub const MAX_EXCERPT_BYTES: usize = 200;

/// Messages that a sender may have shown one by one within [`BUDGET_MS`]. A build that tells each of its steps stays below.
pub const BUDGET_MESSAGES: u32 = 30;

/// Urgent messages that a sender may have shown within [`BUDGET_MS`]; they have a budget of their own, so that no flood of
/// others keeps one back.
pub const BUDGET_URGENT: u32 = 10;

/// Answers of one sender that are taken within [`BUDGET_MS`]; a person who works through a full inbox stays below.
pub const BUDGET_ANSWERS: u32 = 120;

/// The time in which a budget fills up again, in milliseconds.
pub const BUDGET_MS: i64 = 60_000;

/// How often people are told how many of a sender's messages are folded, in milliseconds: a flood must not make a flood of notices, and what they
/// say must not be long out of date.
pub const FOLD_TOLD_MS: i64 = 5_000;

/// Senders whose budgets are remembered. Every sender has a key that somebody here let in, so there are few.
pub const MAX_SENDERS: usize = 1_000;

/// The longest time until a question expires, in milliseconds: a year.
pub const MAX_EXPIRY_MS: i64 = 366 * 86_400_000;

/// Longest address that is offered for more, in bytes; what browsers take.
pub const MAX_CLICK_BYTES: usize = 2_000;
