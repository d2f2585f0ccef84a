//! Where phones are let in, and by which address.

use super::{Lab, Phone, may, offer, phones, place, until};
use crate::api::MakeOffer;

#[tokio::test(flavor = "multi_thread")]
async fn what_phones_open_instead_stays_until_it_is_taken_back() {
    let lab = Lab::new();
    let agent = lab.start().await;
    let opened = async |listen: Option<&str>, public_url: Option<&str>| {
        let wish = MakeOffer {
            listen: listen.map(ToOwned::to_owned),
            public_url: public_url.map(ToOwned::to_owned),
        };
        let made = phones(&agent).offer(&wish).await.expect("offered");
        let (url, _) = made.url.split_once("/#").expect("an address");
        url.to_owned()
    };
    let here = Some("127.0.0.1");
    let public = "https://phone.example.org";
    assert_eq!(opened(here, Some(public)).await, public);
    assert_eq!(opened(here, None).await, public);
    assert_eq!(opened(None, None).await, public);
    for listen in [here, None] {
        assert_eq!(opened(listen, Some(public)).await, public);
        let own = opened(listen, Some("")).await;
        assert_eq!(own, format!("http://{}", place(&agent)));
        assert_eq!(opened(listen, None).await, own);
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_outlives_a_start_and_counts_once() {
    let lab = Lab::new();
    let agent = lab.start().await;
    let made = offer(&agent).await;
    assert!(made.svg.contains("<svg") && made.text.lines().count() > 10);
    agent.stop().await;
    let agent = lab.start().await;
    until(Phone::reads(&made.url, 2).at, true).await;
    Phone::paired(&agent, &made.url, 2, may(&["demo"], true)).await;
    assert_eq!(Phone::reads(&made.url, 4).claim().await.0, 403);
    agent.stop().await;
}
