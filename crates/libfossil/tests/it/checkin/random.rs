//! Changes put together at random against a plain map of what should be there.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const PATHS: [&str; 6] = ["a", "b", "b c", "d/e", "d/f", "\u{fc}"];

/// A change to the files of [`PATHS`], by number; it may make no sense at the time.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8, bool),
    Delete(usize),
    Rename(usize, usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        3 => (path.clone(), any::<u8>(), any::<bool>()).prop_map(|(at, byte, run)| Step::Put(at, byte, run)),
        1 => path.clone().prop_map(Step::Delete),
        1 => (path.clone(), path).prop_map(|(from, to)| Step::Rename(from, to)),
    ]
}

type Model = BTreeMap<&'static str, (String, Permission)>;

/// Applies a step to the model; returns the change if it makes sense there.
fn apply(model: &mut Model, step: &Step) -> Option<Change> {
    match *step {
        Step::Put(at, byte, run) => {
            let permission = if run {
                Permission::Executable
            } else {
                Permission::Regular
            };
            let content = format!("{byte}\n").repeat(40);
            model.insert(PATHS[at], (content.clone(), permission));
            Some(put_as(PATHS[at], &content, permission))
        }
        Step::Delete(at) => model.remove(PATHS[at]).map(|_| delete(PATHS[at])),
        Step::Rename(from, to) if model.contains_key(PATHS[to]) || from == to => None,
        Step::Rename(from, to) => {
            let file = model.remove(PATHS[from])?;
            model.insert(PATHS[to], file);
            Some(rename(PATHS[from], PATHS[to]))
        }
    }
}

proptest! {
    // Each case lets stock rebuild a repository.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn files_are_what_the_changes_add_up_to(rounds in prop::collection::vec(prop::collection::vec(steps(), 1..5), 1..5)) {
        let mut project = Project::new();
        let mut model = Model::new();
        for steps in &rounds {
            let changes = steps.iter().filter_map(|step| apply(&mut model, step)).collect();
            let new = NewCheckIn { changes, allow_empty: true, ..NewCheckIn::new("tester", "random") };
            let made = project.commit(&new).expect("committed");
            let files = history::files(&project.repo, made.rid).expect("read");
            let mut found = Model::new();
            for file in files {
                let path = PATHS.iter().find(|path| file.path.to_str() == Some(path)).expect("a known path");
                let rid = project.repo.rid(&file.name).expect("read").expect("present");
                let content = project.repo.content(rid).expect("read");
                found.insert(path, (String::from_utf8_lossy(&content).into_owned(), file.permission));
            }
            prop_assert_eq!(&found, &model);
        }
        project.assert_accepted();
    }
}
