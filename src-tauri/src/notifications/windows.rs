//! Notifications on Windows: toasts, by the `Windows.UI.Notifications` API. Never run so far.
//!
//! Windows wants an app that shows toasts to have an id with a name; it is put into the person's registry, as an installer would. A toast
//! that nobody clicked moves from the screen into the notification centre, where a click on it still counts while the app runs.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use edgesync_agent::Notification;
use edgesync_agent::api::{NotifierInfo, Priority};
use windows::Data::Xml::Dom::{IXmlNode, XmlDocument, XmlElement};
use windows::Foundation::{DateTime, IReference, PropertyValue, TypedEventHandler};
use windows::UI::Notifications::{
    NotificationSetting, ToastActivatedEventArgs, ToastDismissalReason, ToastDismissedEventArgs,
    ToastFailedEventArgs, ToastNotification, ToastNotificationManager, ToastNotificationPriority,
    ToastNotifier,
};
use windows::core::{HSTRING, IInspectable, Interface as _, h};

use super::numbered::{Happened, System, Teller, name_of_button, press_of};

/// The app's id; the same as that of `tauri.conf.json`, which installers use.
const APP_ID: &str = "org.edgesync.desktop";

/// The name that Windows shows above a toast.
const NAME: &str = "EdgeSync";

/// What a click beside the buttons is called.
const CLICK: &str = "click";

/// How long a toast that does not stay is kept in the notification centre.
const KEPT: Duration = Duration::from_secs(600);

/// Windows counts time in steps of 100 ns from 1601 on; Unix time begins so many seconds later.
const UNIX_EPOCH_S: u64 = 11_644_473_600;

/// Toasts.
pub(super) struct Toasts {
    teller: Teller,
    notifier: Option<ToastNotifier>,
    /// What is shown, by its number: a toast that nobody holds tells nothing.
    shown: HashMap<u64, ToastNotification>,
}

impl Toasts {
    /// Returns a screen without toasts, of which `teller` tells.
    pub(super) fn new(teller: Teller) -> Self {
        Self {
            teller,
            notifier: None,
            shown: HashMap::new(),
        }
    }

    fn try_show(&mut self, number: u64, notification: &Notification) -> windows::core::Result<()> {
        let Some(notifier) = &self.notifier else {
            return Ok(());
        };
        let toast = ToastNotification::CreateToastNotification(&document(notification)?)?;
        toast.SetTag(&tag(number))?;
        toast.SetGroup(group())?;
        if notification.priority == Priority::Urgent {
            toast.SetPriority(ToastNotificationPriority::High)?;
        }
        if !notification.stays {
            let end = PropertyValue::CreateDateTime(in_windows_time(SystemTime::now() + KEPT))?;
            toast.SetExpirationTime(&end.cast::<IReference<DateTime>>()?)?;
        }
        self.listen(number, &toast)?;
        notifier.Show(&toast)?;
        self.shown.insert(number, toast);
        Ok(())
    }

    /// Has the toast tell what becomes of it, before it is shown.
    fn listen(&self, number: u64, toast: &ToastNotification) -> windows::core::Result<()> {
        let teller = self.teller.clone();
        toast.Activated(&TypedEventHandler::<ToastNotification, IInspectable>::new(
            move |_, arguments| {
                let arguments: &Option<IInspectable> = &arguments;
                let name = match arguments {
                    Some(arguments) => arguments.cast::<ToastActivatedEventArgs>()?.Arguments()?,
                    None => HSTRING::new(),
                };
                // When nobody listens, the app is ending.
                let _ = teller.send((number, press_of(&name.to_string())));
                Ok(())
            },
        ))?;
        let teller = self.teller.clone();
        toast.Dismissed(&TypedEventHandler::<
            ToastNotification,
            ToastDismissedEventArgs,
        >::new(move |_, arguments| {
            let arguments: &Option<ToastDismissedEventArgs> = &arguments;
            let Some(arguments) = arguments else {
                return Ok(());
            };
            // Otherwise it has moved into the notification centre, or we hid it.
            if arguments.Reason()? == ToastDismissalReason::UserCanceled {
                // As above.
                let _ = teller.send((number, Happened::Closed { by_person: true }));
            }
            Ok(())
        }))?;
        let teller = self.teller.clone();
        toast.Failed(
            &TypedEventHandler::<ToastNotification, ToastFailedEventArgs>::new(
                move |_, arguments| {
                    let arguments: &Option<ToastFailedEventArgs> = &arguments;
                    let code = arguments.as_ref().map(|it| it.ErrorCode());
                    tracing::warn!("a notification is not shown: {code:?}");
                    // As above.
                    let _ = teller.send((number, Happened::Closed { by_person: false }));
                    Ok(())
                },
            ),
        )?;
        Ok(())
    }
}

impl System for Toasts {
    async fn begin(&mut self) -> anyhow::Result<NotifierInfo> {
        let place = format!("Software\\Classes\\AppUserModelId\\{APP_ID}");
        windows_registry::CURRENT_USER
            .create(place)
            .and_then(|key| key.set_string("DisplayName", NAME))
            .context("Windows does not take the app's name")?;
        let notifier = ToastNotificationManager::CreateToastNotifierWithId(&HSTRING::from(APP_ID))?;
        ensure!(
            notifier.Setting()? == NotificationSetting::Enabled,
            "they are switched off in Windows' settings"
        );
        self.notifier = Some(notifier);
        Ok(NotifierInfo {
            name: "Windows".into(),
            buttons: true,
        })
    }

    fn show(&mut self, number: u64, notification: &Notification) {
        if let Err(error) = self.try_show(number, notification) {
            tracing::warn!("a notification is not shown: {error}");
            // When nobody listens, the app is ending.
            let _ = self
                .teller
                .send((number, Happened::Closed { by_person: false }));
        }
    }

    fn take_down(&mut self, number: u64) {
        let Some(toast) = self.shown.remove(&number) else {
            return;
        };
        // From the screen, and from the notification centre; it is in one of them at most.
        let hidden = self.notifier.as_ref().map(|it| it.Hide(&toast));
        let removed = ToastNotificationManager::History().and_then(|history| {
            history.RemoveGroupedTagWithId(&tag(number), group(), &HSTRING::from(APP_ID))
        });
        tracing::debug!("a notification is taken down: {hidden:?}, {removed:?}");
    }
}

/// Returns the toast's content. It is built from its parts, so that no text is read as markup.
fn document(notification: &Notification) -> windows::core::Result<XmlDocument> {
    let document = XmlDocument::new()?;
    let toast = document.CreateElement(h!("toast"))?;
    document.AppendChild(&toast.cast::<IXmlNode>()?)?;
    toast.SetAttribute(h!("launch"), &HSTRING::from(CLICK))?;
    if notification.stays {
        // Stays on the screen until somebody does something. It counts only where there is a button.
        toast.SetAttribute(h!("scenario"), h!("reminder"))?;
    }
    let visual = child(&document, &toast, h!("visual"))?;
    let binding = child(&document, &visual, h!("binding"))?;
    binding.SetAttribute(h!("template"), h!("ToastGeneric"))?;
    for text in [&notification.title, &notification.text] {
        child(&document, &binding, h!("text"))?.SetInnerText(&HSTRING::from(text))?;
    }
    let actions = child(&document, &toast, h!("actions"))?;
    let button = |label: &str, name: &str| {
        let action = child(&document, &actions, h!("action"))?;
        action.SetAttribute(h!("content"), &HSTRING::from(label))?;
        action.SetAttribute(h!("arguments"), &HSTRING::from(name))
    };
    for (place, label) in notification.buttons.iter().enumerate() {
        button(label, &name_of_button(place))?;
    }
    if notification.stays && notification.buttons.is_empty() {
        button("Open", CLICK)?;
    }
    if notification.priority == Priority::Info {
        child(&document, &toast, h!("audio"))?.SetAttribute(h!("silent"), h!("true"))?;
    }
    Ok(document)
}

/// Adds an element to `parent`.
fn child(
    document: &XmlDocument,
    parent: &XmlElement,
    name: &HSTRING,
) -> windows::core::Result<XmlElement> {
    let element = document.CreateElement(name)?;
    parent.AppendChild(&element.cast::<IXmlNode>()?)?;
    Ok(element)
}

fn tag(number: u64) -> HSTRING {
    HSTRING::from(number.to_string())
}

/// Returns the group of our toasts; within it, a toast's tag is its number.
fn group() -> &'static HSTRING {
    h!("edgesync")
}

fn in_windows_time(time: SystemTime) -> DateTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let steps = (since + Duration::from_secs(UNIX_EPOCH_S)).as_nanos() / 100;
    DateTime {
        UniversalTime: i64::try_from(steps).unwrap_or(i64::MAX),
    }
}
