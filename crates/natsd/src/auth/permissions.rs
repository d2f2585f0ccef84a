//! What a user may publish and subscribe to.

use std::time::Duration;

use crate::subject::{self, Filter};

/// What one user may do.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    /// Subjects that they may publish to.
    pub publish: SubjectRules<Filter>,
    /// Subjects that they may subscribe to.
    pub subscribe: SubjectRules<SubscribeRule>,
    /// Whether they may answer what they were asked, on whatever subject.
    pub allow_responses: Option<AllowResponses>,
}

/// Lists of what is allowed and denied; denial wins.
#[derive(Clone, Debug)]
pub struct SubjectRules<R> {
    /// Only these; everything if not set.
    pub allow: Option<Vec<R>>,
    /// Not these.
    pub deny: Vec<R>,
}

impl<R> Default for SubjectRules<R> {
    fn default() -> Self {
        Self {
            allow: None,
            deny: Vec::new(),
        }
    }
}

/// A rule for subscriptions: of everybody, or of members of some queue groups only.
#[derive(Clone, Debug)]
pub struct SubscribeRule {
    /// The subjects.
    pub filter: Filter,
    /// The queue groups, with wildcards; every subscription if not set.
    pub queue: Option<Filter>,
}

/// How far one may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowResponses {
    /// Messages to each reply subject.
    pub max: u32,
    /// How long after the question.
    pub expires: Duration,
}

/// The reference's numbers.
impl Default for AllowResponses {
    fn default() -> Self {
        Self {
            max: 1,
            expires: Duration::from_secs(120),
        }
    }
}

impl Permissions {
    /// Says whether a message may be published to this subject, apart from answers.
    #[must_use]
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        let covers = |rule: &Filter| subject::covers(rule.as_bytes(), subject);
        let allowed = self
            .publish
            .allow
            .as_ref()
            .is_none_or(|rules| rules.iter().any(covers));
        allowed && !self.publish.deny.iter().any(covers)
    }

    /// Says whether a subscription may be made: it is within what is allowed and not within what is denied.
    #[must_use]
    pub fn may_subscribe(&self, filter: &Filter, queue: Option<&[u8]>) -> bool {
        let inside = |rule: &SubscribeRule| {
            subject::covers(rule.filter.as_bytes(), filter.as_bytes()) && rule.is_for(queue)
        };
        let allowed = self
            .subscribe
            .allow
            .as_ref()
            .is_none_or(|rules| rules.iter().any(inside));
        allowed && !self.subscribe.deny.iter().any(inside)
    }

    /// Says whether some of what a filter matches is denied, so that messages have to be looked at one by one.
    #[must_use]
    pub fn denies_within(&self, filter: &Filter, queue: Option<&[u8]>) -> bool {
        let overlaps = |rule: &SubscribeRule| {
            subject::overlap(rule.filter.as_bytes(), filter.as_bytes()) && rule.is_for(queue)
        };
        self.subscribe.deny.iter().any(overlaps)
    }

    /// Says whether a message to this subject may be delivered to a subscription that was made.
    #[must_use]
    pub fn may_receive(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let denied = |rule: &SubscribeRule| rule.filter.matches(subject) && rule.is_for(queue);
        !self.subscribe.deny.iter().any(denied)
    }
}

impl SubscribeRule {
    /// Says whether the rule speaks of subscriptions in this queue group, or in none.
    fn is_for(&self, queue: Option<&[u8]>) -> bool {
        match (&self.queue, queue) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(rule), Some(queue)) => rule.matches(queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text.as_bytes()).expect("a filter")
    }

    fn rule(text: &str) -> SubscribeRule {
        let mut fields = text.split(' ');
        SubscribeRule {
            filter: filter(fields.next().expect("a filter")),
            queue: fields.next().map(filter),
        }
    }

    fn permissions(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
        Permissions {
            publish: SubjectRules {
                allow: allow.map(|rules| rules.iter().map(|rule| filter(rule)).collect()),
                deny: deny.iter().map(|rule| filter(rule)).collect(),
            },
            subscribe: SubjectRules {
                allow: allow.map(|rules| rules.iter().map(|text| rule(text)).collect()),
                deny: deny.iter().map(|text| rule(text)).collect(),
            },
            allow_responses: None,
        }
    }

    #[test]
    fn denial_wins_over_permission() {
        let rules = permissions(Some(&["a.>"]), &["a.secret.>"]);
        assert!(rules.may_publish(b"a.b") && !rules.may_publish(b"b"));
        assert!(!rules.may_publish(b"a.secret.x"));
        assert!(rules.may_subscribe(&filter("a.*"), None));
        assert!(!rules.may_subscribe(&filter(">"), None));
        assert!(!rules.may_subscribe(&filter("a.secret.*"), None));
    }

    #[test]
    fn an_overlapping_subscription_is_made_and_filtered() {
        let rules = permissions(None, &["a.secret"]);
        let wide = filter("a.*");
        assert!(rules.may_subscribe(&wide, None) && rules.denies_within(&wide, None));
        assert!(!rules.denies_within(&filter("b"), None));
        assert!(rules.may_receive(b"a.b", None) && !rules.may_receive(b"a.secret", None));
    }

    #[test]
    fn an_empty_list_allows_nothing_and_no_list_everything() {
        assert!(!permissions(Some(&[]), &[]).may_publish(b"a"));
        assert!(permissions(None, &[]).may_publish(b"a"));
    }

    #[test]
    fn a_rule_may_be_for_queue_groups_only() {
        let mut rules = Permissions::default();
        rules.subscribe.allow = Some(vec![rule("a v1.>")]);
        assert!(rules.may_subscribe(&filter("a"), Some(b"v1.x")));
        assert!(!rules.may_subscribe(&filter("a"), Some(b"v2.x")));
        assert!(!rules.may_subscribe(&filter("a"), None));
    }
}
