//! The rules by which this desk decides the questions that were asked here.

use ring::digest::{SHA256, digest};

use super::{Arrival, Desk, Effect, Now, Refusal};
use crate::keyring::Author;
use crate::message::{Fields, Kind, Message, Resolution, Source};
use crate::name::MessageId;
use crate::question::{self, Told};

/// What a question came to.
pub(super) struct Outcome {
    body: String,
    action: bool,
    resolution: Resolution,
}

/// Returns what silence came to.
pub(super) fn expired(question: &Fields) -> Outcome {
    let body = question.silence().unwrap_or_default();
    Outcome {
        body: body.to_owned(),
        action: question.action(body).is_some(),
        resolution: nobody(match question.silence() {
            Some(_) => Source::Default,
            None => Source::Expired,
        }),
    }
}

/// Returns what taking it back came to.
pub(super) fn cancelled() -> Outcome {
    Outcome {
        body: String::new(),
        action: false,
        resolution: nobody(Source::Cancelled),
    }
}

fn nobody(source: Source) -> Resolution {
    Resolution {
        source,
        answer: None,
        by: String::new(),
        by_name: String::new(),
    }
}

/// Returns the id of the resolution of a question. It follows from the question's, so that a question cannot have two of them.
pub(super) fn resolution_id(question: &MessageId) -> MessageId {
    let digest = digest(&SHA256, format!("resolution of {question}").as_bytes());
    let mut bytes = [0; 16];
    for (byte, made) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *made;
    }
    MessageId::from_bytes(bytes)
}

impl Desk {
    /// Checks that a message does not take a part that is somebody else's.
    pub(super) fn check_role(&self, message: &Message, author: Author) -> Result<(), Refusal> {
        let Some(question) = message.reply_to.and_then(|id| self.waiting.get(&id)) else {
            return Ok(());
        };
        if message.kind == Kind::Resolution {
            let told = Told {
                fields: message,
                author,
            };
            return if question::resolves(told, question.told()) {
                Ok(())
            } else {
                Err(Refusal::NotTheAsker)
            };
        }
        if !question::answers(message, &question.fields) {
            return Ok(());
        }
        let asked = &question.fields;
        if message.project != asked.project || message.thread != asked.thread {
            return Err(Refusal::OtherQuestion);
        }
        if !question::is_offered(message, asked) {
            return Err(Refusal::NotOffered);
        }
        Ok(())
    }

    /// Judges an answer to a question of ours, or one that is about to leave from here.
    pub(super) fn judge(
        &self,
        answer: &Fields,
        author: Author,
        arrival: Arrival,
        question: &Fields,
        now: Now,
    ) -> Result<(), Refusal> {
        if answer.project != question.project || answer.thread != question.thread {
            return Err(Refusal::OtherQuestion);
        }
        if !question::is_offered(answer, question) {
            return Err(Refusal::NotOffered);
        }
        if arrival != Arrival::Here {
            if author == Author::Key(self.me.signer.key()) {
                return Err(Refusal::NotOurs);
            }
            let device = self.keyring.device(author, &answer.from, &answer.project)?;
            if !device.may_answer {
                return Err(Refusal::MayNotAnswer);
            }
        }
        // Whether the time of another's question is over is not for this device's clock to say.
        let waiting = self.waiting.get(&question.id);
        if waiting.is_some_and(|it| self.is_own(it) && it.is_over(now)) {
            return Err(Refusal::Decided);
        }
        Ok(())
    }

    /// Decides a question of ours by an answer that was judged valid.
    pub(super) fn decide_by_answer(
        &mut self,
        question: &Fields,
        answer: &Fields,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = Outcome {
            body: answer.body.clone(),
            action: answer.action_response,
            resolution: Resolution {
                source: Source::Answer,
                answer: Some(answer.id),
                by: answer.from.clone(),
                by_name: answer.from_name.clone(),
            },
        };
        self.decide(question, outcome, now, effects);
    }

    /// Decides a question of ours.
    pub(super) fn decide(
        &mut self,
        question: &Fields,
        outcome: Outcome,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let id = resolution_id(&question.id);
        let mut fields = Fields::new(
            id,
            question.thread,
            question.project.clone(),
            now.wall,
            outcome.body,
        );
        fields.from.clone_from(&self.me.id);
        fields.from_name.clone_from(&question.from_name);
        fields.reply_to = Some(question.id);
        fields.after = self.last_of(&question.thread);
        fields.action_response = outcome.action;
        fields.kind = Kind::Resolution;
        fields.resolution = Some(outcome.resolution);
        let resolution = match Message::signed(&fields, &self.me.signer) {
            Ok(resolution) => resolution,
            Err(error) => {
                effects.push(Effect::Refused {
                    id,
                    from: fields.from,
                    refusal: error.into(),
                });
                return;
            }
        };
        self.known.insert(id, super::digest(&resolution));
        self.note(&resolution, Author::Key(self.me.signer.key()), now);
        effects.push(Effect::Store(vec![resolution.clone()]));
        effects.push(Effect::Resolved {
            question: question.id,
            resolution: resolution.clone(),
        });
        effects.push(Effect::Publish(resolution));
    }
}
