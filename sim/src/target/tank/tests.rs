//! What no scenario asks for yet: bodies larger than the book's programs take.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank_platform::{ConnectOptions, ListenOptions, Platform, Stream};
use wavetank_proxy::record::{Direction, TlsState};

use super::*;
use crate::engine::Container;
use crate::scenario::{Manifests, parse};

const BODY: usize = 10 << 20;

struct NoManifests;

impl Manifests for NoManifests {
    fn read(&self, path: &str) -> Result<Vec<SourceFile>, String> {
        Err(format!("no {path}"))
    }
}

/// A byte of a body, by its place.
fn byte(at: usize) -> u8 {
    (at * 31 + at / 65_536) as u8
}

fn body() -> Vec<u8> {
    (0..BODY).map(byte).collect()
}

/// A head without its body, to the empty line.
async fn head(stream: &mut Stream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Takes one request with a large body, and sends the body back.
async fn mirror(platform: Platform, port: u16) {
    let listener = platform.net.listen(([0, 0, 0, 0], port).into(), ListenOptions::default()).await.unwrap();
    let mut stream = listener.accept().await.unwrap();
    let _request = head(&mut stream).await;
    let mut received = vec![0; BODY];
    stream.read_exact(&mut received).await.unwrap();
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n").as_bytes()).await.unwrap();
    stream.write_all(&received).await.unwrap();
    std::future::pending().await
}

/// Sends 10 MiB from `sleep` to `httpbin` and back, and returns how often the network lost a packet.
fn ten_mebibytes(network: &str) -> u64 {
    let text = format!(
        "scenario: large bodies\napp: istio-lab\nnetwork: {network}\ntraffic: 1 GET httpbin/\nexpect:\n- {{edge: '* -> *', tls: mtls}}\n"
    );
    let scenario = parse(&SourceFile::new("large.yaml", text), &NoManifests).expect("a scenario");
    let cast = Arc::new(cast_of(&scenario));
    let mut tank = Tank::new(TankConfig { default_link: own_links::link(&scenario.network), ..TankConfig::default() });
    let roster = Roster::admit(&cast, &mut tank);
    tank.run(|tank| async move {
        let objects = kube::objects(&cast);
        let stage = converge(
            &scenario,
            Vec::new(),
            &objects,
            cast.clone(),
            (tank, roster.clone()),
            LinkBook::new(own_links::link(&scenario.network)),
        );
        let (stage, _) = stage.await.unwrap();
        let tank = &stage.tank;
        let pod = |app: &str| roster.pod(cast.pods.iter().position(|pod| pod.app() == app).unwrap());
        let service = cast.services.iter().find(|service| service.name == "httpbin").unwrap();
        let server = tank.restart_process(pod("httpbin"), Container::App);
        server.spawn.go(mirror(server.clone(), service.ports[0].target_port));

        let to = (service.cluster_ip, service.ports[0].port).into();
        let mut stream = tank.app_platform(pod("sleep")).net.connect(to, ConnectOptions::default()).await.unwrap();
        let request = format!("POST /anything HTTP/1.1\r\nhost: httpbin\r\ncontent-length: {BODY}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&body()).await.unwrap();
        let answer = head(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let mut returned = vec![0; BODY];
        stream.read_exact(&mut returned).await.unwrap();
        assert_eq!(returned.iter().enumerate().position(|(at, is)| *is != byte(at)), None, "bytes differ");

        tank.sleep(DRAIN).await;
        let book = stage.mesh.take_book(&cast);
        let outward = book.records.iter().filter(|record| record.direction == Direction::Outbound);
        let legs = outward.flat_map(|record| &record.attempts).filter_map(|attempt| attempt.upstream.as_ref());
        let tls: Vec<_> = legs.map(|leg| &leg.tls).collect();
        assert!(matches!(tls[..], [TlsState::Mutual { .. }]), "{tls:?}");
        tank.stats().lost
    })
}

#[test]
fn ten_mebibytes_go_both_ways_through_two_sidecars_with_mtls() {
    assert_eq!(ten_mebibytes("{latency: 1ms}"), 0);
}

#[test]
fn ten_mebibytes_survive_loss_and_jitter_larger_than_the_latency() {
    assert!(ten_mebibytes("{latency: {base: 100us, jitter: 2ms}, loss: 1%}") > 100);
}
