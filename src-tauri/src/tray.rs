//! The tray icon and its menu. Everything the app can do from the tray is a menu entry: on Linux neither clicks on the icon
//! nor tooltips arrive.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edgesync_agent::api::Role;
use edgesync_agent::notify::text::shown_on_a_line;
use tauri::image::Image;
use tauri::include_image;
use tauri::menu::{CheckMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry};
use tokio::sync::mpsc::UnboundedSender;

use crate::host::{Length, Wish};
use crate::view::{Line, MeshLine, QuestionLine, Shape, View};
use crate::window::{self, Page};
use crate::words;

/// Part of the tray item's address on the session bus.
const ID: &str = "edgesync";

/// The menu's entries that do something.
mod entry {
    pub(super) const SYNC: &str = "sync";
    pub(super) const OPEN: &str = "open";
    pub(super) const QUIT: &str = "quit";
    pub(super) const MESH: &str = "mesh";
    pub(super) const PAUSE_BRIEFLY: &str = "pause-briefly";
    pub(super) const PAUSE_TODAY: &str = "pause-today";
    pub(super) const PAUSE: &str = "pause";
    pub(super) const RESUME: &str = "resume";
    /// Followed by the place in the list of roles, from 0.
    pub(super) const ROLE: &str = "role-";
    /// Followed by the place in the list of repositories, from 0.
    pub(super) const REPOSITORY: &str = "repository-";
    pub(super) const PAIR: &str = "pair";
    pub(super) const LOG: &str = "log";
    pub(super) const DOCTOR: &str = "doctor";
    pub(super) const LOGIN: &str = "start-at-login";
    pub(super) const INBOX: &str = "inbox";
    /// Followed by a thread's id.
    pub(super) const THREAD: &str = "thread of ";
    /// Followed by a question's id, a stroke, and the place in its answers, from 0.
    pub(super) const ANSWER: &str = "answer to ";
}

/// The roles in the order of the menu.
const ROLES: [Role; 3] = [Role::Peer, Role::Hub, Role::Leaf];

/// How many entries stand before the repositories' lines.
const BEFORE_REPOSITORIES: usize = 1;
/// How many stand between these and the questions.
const BEFORE_QUESTIONS: usize = 1;

/// The tray: handles to what changes in it.
pub(crate) struct Tray {
    icon: TrayIcon,
    menu: Menu<Wry>,
    status: MenuItem<Wry>,
    sync: MenuItem<Wry>,
    resume: MenuItem<Wry>,
    mesh: MenuItem<Wry>,
    pair: MenuItem<Wry>,
    login: CheckMenuItem<Wry>,
    roles: Vec<CheckMenuItem<Wry>>,
    repositories: Mutex<Vec<MenuItem<Wry>>>,
    questions: Mutex<Questions>,
    /// What the entries lead to now.
    lines: Lines,
}

/// What entries lead to, shared with the one who is told of a click.
type Lines = Arc<Mutex<Targets>>;

/// What entries lead to.
#[derive(Debug, Default)]
struct Targets {
    repositories: Vec<Line>,
    questions: Vec<QuestionLine>,
}

impl Tray {
    /// Puts the icon into the tray, showing `view`. Runs on the main thread. Panels on Linux read the icon from a file; it
    /// is written into the folder `pictures`.
    ///
    /// # Errors
    /// When the system refuses the icon or the menu.
    pub(crate) fn new(
        app: &AppHandle,
        view: &View,
        pictures: &Path,
        page: &Page,
        wishes: UnboundedSender<Wish>,
    ) -> tauri::Result<Arc<Self>> {
        let status = MenuItem::new(app, literal(&view.status), false, None::<&str>)?;
        let sync = MenuItem::with_id(app, entry::SYNC, "Sync now", view.can_sync, None::<&str>)?;
        let entry = |id, label, enabled| MenuItem::with_id(app, id, label, enabled, None::<&str>);
        let line = || PredefinedMenuItem::separator(app);
        let mesh = entry(entry::MESH, "Mesh", false)?;
        let pair = entry(entry::PAIR, "Pair a phone", view.can_pair)?;
        let login = CheckMenuItem::with_id(
            app,
            entry::LOGIN,
            "Start at login",
            false,
            false,
            None::<&str>,
        )?;
        let (role, roles) = role_menu(app)?;
        let (pause, resume) = pause_menu(app, view.is_paused)?;
        let menu = Menu::with_items(
            app,
            &[
                &status,
                &line()?,
                &sync,
                &pause,
                &entry(entry::OPEN, "Open EdgeSync", true)?,
                &mesh,
                &role,
                &pair,
                &line()?,
                &entry(entry::LOG, "Logs", true)?,
                &entry(entry::DOCTOR, "Doctor", true)?,
                &login,
                &entry(entry::QUIT, "Quit", true)?,
            ],
        )?;

        let (page, lines) = (page.clone(), Lines::default());
        let clicked = Arc::clone(&lines);
        let icon = TrayIconBuilder::with_id(ID)
            .icon(picture(view.shape))
            .icon_as_template(cfg!(target_os = "macos"))
            .menu(&menu)
            .temp_dir_path(pictures)
            .on_menu_event(move |app, event| chosen(app, &event, &page, &clicked, &wishes))
            .build(app)?;
        let tray = Self {
            icon,
            menu,
            status,
            sync,
            resume,
            mesh,
            pair,
            login,
            roles,
            repositories: Mutex::default(),
            questions: Mutex::default(),
            lines,
        };
        tray.list(&view.repositories)?;
        tray.ask(&view.questions, view.more_questions)?;
        tray.tell_mesh(view.mesh.as_ref())?;
        tray.tell_login(view.starts_at_login)?;
        Ok(Arc::new(tray))
    }

    /// Changes what differs between `shown` and `view`. Runs on the main thread.
    ///
    /// # Errors
    /// When the system refuses a change.
    pub(crate) fn update(&self, shown: &View, view: &View) -> tauri::Result<()> {
        if view.shape != shown.shape {
            self.icon.set_icon(Some(picture(view.shape)))?;
        }
        if view.status != shown.status {
            self.status.set_text(literal(&view.status))?;
        }
        if view.can_sync != shown.can_sync {
            self.sync.set_enabled(view.can_sync)?;
        }
        if view.is_paused != shown.is_paused {
            self.resume.set_enabled(view.is_paused)?;
        }
        if view.repositories != shown.repositories {
            self.list(&view.repositories)?;
        }
        if view.questions != shown.questions || view.more_questions != shown.more_questions {
            self.ask(&view.questions, view.more_questions)?;
        }
        if view.mesh != shown.mesh {
            self.tell_mesh(view.mesh.as_ref())?;
        }
        if view.can_pair != shown.can_pair {
            self.pair.set_enabled(view.can_pair)?;
        }
        if view.starts_at_login != shown.starts_at_login {
            self.tell_login(view.starts_at_login)?;
        }
        Ok(())
    }

    /// Checks the entry of the start at login, where that can be chosen.
    fn tell_login(&self, starts: Option<bool>) -> tauri::Result<()> {
        self.login.set_enabled(starts.is_some())?;
        self.login.set_checked(starts == Some(true))
    }

    /// Makes the mesh's entry say `line`, and checks the role in force.
    fn tell_mesh(&self, line: Option<&MeshLine>) -> tauri::Result<()> {
        self.mesh.set_enabled(line.is_some())?;
        let Some(line) = line else { return Ok(()) };
        self.mesh.set_text(literal(&line.text))?;
        for (item, role) in self.roles.iter().zip(ROLES) {
            item.set_checked(role == line.role)?;
        }
        Ok(())
    }

    /// Makes the repositories' lines say `lines`, adding and removing entries only when their number changed: a menu that is
    /// rebuilt while it is open closes under the person's hand.
    fn list(&self, lines: &[Line]) -> tauri::Result<()> {
        lock(&self.lines).repositories = lines.to_vec();
        let mut items = lock(&self.repositories);
        while items.len() > lines.len() {
            if let Some(item) = items.pop() {
                self.menu.remove(&item)?;
            }
        }
        for (item, line) in items.iter().zip(lines) {
            item.set_text(literal(&line.text))?;
        }
        for line in lines.iter().skip(items.len()) {
            let id = format!("{}{}", entry::REPOSITORY, items.len());
            let item = MenuItem::with_id(
                self.menu.app_handle(),
                id,
                literal(&line.text),
                true,
                None::<&str>,
            )?;
            self.menu.insert(&item, BEFORE_REPOSITORIES + items.len())?;
            items.push(item);
        }
        Ok(())
    }
}

impl Tray {
    /// Makes the menu have these questions, and a line for `more`. An entry that stays is left alone: the person's hand may be on it.
    fn ask(&self, lines: &[QuestionLine], more: usize) -> tauri::Result<()> {
        lock(&self.lines).questions = lines.to_vec();
        let before = BEFORE_REPOSITORIES + lock(&self.repositories).len() + BEFORE_QUESTIONS;
        let mut questions = lock(&self.questions);
        questions.end(&self.menu)?;
        questions.keep(lines, &self.menu)?;
        for (place, line) in lines.iter().enumerate() {
            if questions
                .entries
                .get(place)
                .is_none_or(|(id, _)| *id != line.id)
            {
                let entry = question_menu(self.menu.app_handle(), line)?;
                self.menu.insert(&entry, before + place)?;
                questions.entries.insert(place, (line.id.clone(), entry));
            }
        }
        questions.finish(&self.menu, before + lines.len(), more)
    }
}

/// The menu's entries for questions.
#[derive(Default)]
struct Questions {
    /// Each with its question's id.
    entries: Vec<(String, Submenu<Wry>)>,
    /// Leads to the inbox, when there are more.
    more: Option<MenuItem<Wry>>,
    /// The line below, when there are any.
    below: Option<PredefinedMenuItem<Wry>>,
}

impl Questions {
    /// Takes away what stands below the questions.
    fn end(&mut self, menu: &Menu<Wry>) -> tauri::Result<()> {
        if let Some(more) = self.more.take() {
            menu.remove(&more)?;
        }
        if let Some(below) = self.below.take() {
            menu.remove(&below)?;
        }
        Ok(())
    }

    /// Takes away the entries that are not among `lines`, or stand in another order there.
    fn keep(&mut self, lines: &[QuestionLine], menu: &Menu<Wry>) -> tauri::Result<()> {
        let mut from = 0;
        let mut kept = Vec::new();
        for (id, entry) in self.entries.drain(..) {
            let later = lines.iter().skip(from).position(|line| line.id == id);
            match later {
                Some(skipped) => {
                    from += skipped + 1;
                    kept.push((id, entry));
                }
                None => menu.remove(&entry)?,
            }
        }
        self.entries = kept;
        Ok(())
    }

    /// Puts what stands below the questions at `place`.
    fn finish(&mut self, menu: &Menu<Wry>, place: usize, more: usize) -> tauri::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let app = menu.app_handle();
        let below = PredefinedMenuItem::separator(app)?;
        menu.insert(&below, place)?;
        self.below = Some(below);
        if more > 0 {
            let text = match more {
                1 => "1 more question".to_owned(),
                _ => format!("{more} more questions"),
            };
            let item = MenuItem::with_id(app, entry::INBOX, text, true, None::<&str>)?;
            menu.insert(&item, place)?;
            self.more = Some(item);
        }
        Ok(())
    }
}

/// Returns the entry of a question, with its answers and the way to the window under it.
fn question_menu(app: &AppHandle, line: &QuestionLine) -> tauri::Result<Submenu<Wry>> {
    let menu = Submenu::new(app, literal(&line.text), true)?;
    for (place, answer) in line.answers.iter().enumerate() {
        let id = format!("{}{}-{place}", entry::ANSWER, line.id);
        let label = literal(&shown_on_a_line(&answer.label));
        menu.append(&MenuItem::with_id(app, id, label, true, None::<&str>)?)?;
    }
    if !line.answers.is_empty() {
        menu.append(&PredefinedMenuItem::separator(app)?)?;
    }
    let id = format!("{}{}", entry::THREAD, line.thread);
    menu.append(&MenuItem::with_id(app, id, "Open", true, None::<&str>)?)?;
    Ok(menu)
}

/// Returns the entry that has the roles under it, none of them checked yet. Its own label never changes: panels do not show it
/// when an entry with others under it is renamed.
fn role_menu(app: &AppHandle) -> tauri::Result<(Submenu<Wry>, Vec<CheckMenuItem<Wry>>)> {
    let menu = Submenu::new(app, "Role in the mesh", true)?;
    let mut roles = Vec::with_capacity(ROLES.len());
    for (place, role) in ROLES.into_iter().enumerate() {
        let id = format!("{}{place}", entry::ROLE);
        let item = CheckMenuItem::with_id(app, id, words::role(role), true, false, None::<&str>)?;
        menu.append(&item)?;
        roles.push(item);
    }
    Ok((menu, roles))
}

/// Returns the entry that has the pauses under it, and their end.
fn pause_menu(app: &AppHandle, is_paused: bool) -> tauri::Result<(Submenu<Wry>, MenuItem<Wry>)> {
    let menu = Submenu::new(app, "Pause", true)?;
    let pauses = [
        (entry::PAUSE_BRIEFLY, "For 30 minutes"),
        (entry::PAUSE_TODAY, "Until tomorrow"),
        (entry::PAUSE, "Until resumed"),
    ];
    for (id, label) in pauses {
        menu.append(&MenuItem::with_id(app, id, label, true, None::<&str>)?)?;
    }
    menu.append(&PredefinedMenuItem::separator(app)?)?;
    let resume = MenuItem::with_id(app, entry::RESUME, "Resume", is_paused, None::<&str>)?;
    menu.append(&resume)?;
    Ok((menu, resume))
}

/// Does what the chosen entry says.
fn chosen(
    app: &AppHandle,
    event: &MenuEvent,
    page: &Page,
    lines: &Lines,
    wishes: &UnboundedSender<Wish>,
) {
    match event.id().as_ref() {
        // An agent that has ended wants nothing any more.
        entry::SYNC => drop(wishes.send(Wish::SyncNow)),
        entry::PAUSE_BRIEFLY => drop(wishes.send(Wish::Pause(Length::Briefly))),
        entry::PAUSE_TODAY => drop(wishes.send(Wish::Pause(Length::UntilTomorrow))),
        entry::PAUSE => drop(wishes.send(Wish::Pause(Length::UntilResumed))),
        entry::RESUME => drop(wishes.send(Wish::Resume)),
        entry::OPEN => window::show_or_log(app, page),
        entry::QUIT => app.exit(0),
        entry::MESH => window::show_or_log(app, &page.of_mesh()),
        entry::PAIR => window::show_or_log(app, &page.of_pairing()),
        entry::LOG => window::show_or_log(app, &page.of_log()),
        entry::DOCTOR => window::show_or_log(app, &page.of_doctor()),
        entry::LOGIN => drop(wishes.send(Wish::StartAtLogin)),
        entry::INBOX => window::show_or_log(app, &page.of_inbox(None)),
        id if id.starts_with(entry::THREAD) => {
            let thread = id.strip_prefix(entry::THREAD);
            window::show_or_log(app, &page.of_inbox(thread));
        }
        id if id.starts_with(entry::ANSWER) => {
            // A question that is decided meanwhile has left the list.
            if let Some(wish) = answer(id, &lock(lines).questions) {
                let _ = wishes.send(wish);
            }
        }
        id if id.starts_with(entry::ROLE) => {
            if let Some(role) = place_in(id, entry::ROLE).and_then(|place| ROLES.get(place)) {
                // As above.
                let _ = wishes.send(Wish::Role(*role));
            }
        }
        id => {
            let place = place_in(id, entry::REPOSITORY);
            let line = place.and_then(|place| lock(lines).repositories.get(place).cloned());
            match line.and_then(|line| line.name) {
                Some(name) => window::show_or_log(app, &page.of_repository(&name)),
                None => window::show_or_log(app, page),
            }
        }
    }
}

/// Returns the answer that an entry's id means.
fn answer(id: &str, questions: &[QuestionLine]) -> Option<Wish> {
    let (question, place) = id.strip_prefix(entry::ANSWER)?.rsplit_once('-')?;
    let line = questions.iter().find(|line| line.id == question)?;
    let action = line.answers.get(place.parse::<usize>().ok()?)?;
    Some(Wish::Answer {
        thread: line.thread.clone(),
        question: line.id.clone(),
        action: action.id.clone(),
    })
}

/// Returns the place that stands after `prefix` in an entry's id.
fn place_in(id: &str, prefix: &str) -> Option<usize> {
    id.strip_prefix(prefix)?.parse().ok()
}

/// Takes a lock. What it guards is replaced whole, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the picture for `shape`: one that macOS colours by itself, or one that reads on dark and light panels.
fn picture(shape: Shape) -> Image<'static> {
    match (shape, cfg!(target_os = "macos")) {
        (Shape::Ring, false) => include_image!("../icons/tray/up-to-date.panel.png"),
        (Shape::Ring, true) => include_image!("../icons/tray/up-to-date.template.png"),
        (Shape::Arrow, false) => include_image!("../icons/tray/syncing.panel.png"),
        (Shape::Arrow, true) => include_image!("../icons/tray/syncing.template.png"),
        (Shape::Bar, false) => include_image!("../icons/tray/paused.panel.png"),
        (Shape::Bar, true) => include_image!("../icons/tray/paused.template.png"),
        (Shape::Broken, false) => include_image!("../icons/tray/error.panel.png"),
        (Shape::Broken, true) => include_image!("../icons/tray/error.template.png"),
        (Shape::Dot, false) => include_image!("../icons/tray/question.panel.png"),
        (Shape::Dot, true) => include_image!("../icons/tray/question.template.png"),
    }
}

/// Returns `text` for a menu that takes `&` for the mark of a mnemonic.
fn literal(text: &str) -> String {
    text.replace('&', "&&")
}
