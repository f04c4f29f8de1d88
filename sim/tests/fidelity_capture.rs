//! Fidelity of the tank's network: traffic capture, as istio-init's iptables rules do it.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wavetank::engine::{Capture, PodId, PodSpec, ServiceAddr, Tank, TankConfig, TankHandle};
use wavetank_platform::{ConnectOptions, ListenOptions, Listener, OriginalDst, Platform, Stream};

fn world(n: usize) -> (Tank, Vec<PodId>) {
    let mut tank = Tank::new(TankConfig::default());
    let pods = (0..n).map(|n| tank.add_pod(PodSpec::new(format!("pod-{n}"), "default"))).collect();
    (tank, pods)
}

fn at(tank: &TankHandle, pod: PodId, port: u16) -> SocketAddr {
    SocketAddr::new(tank.pod_ip(pod), port)
}

async fn listen(platform: &Platform, addr: &str) -> Listener {
    platform.net.listen(addr.parse().unwrap(), ListenOptions::default()).await.unwrap()
}

async fn connect(platform: &Platform, to: SocketAddr) -> std::io::Result<Stream> {
    platform.net.connect(to, ConnectOptions::default()).await
}

/// Accepts one connection while opening it, and returns both ends.
async fn pair(listener: &Listener, client: &Platform, to: SocketAddr) -> (Stream, Stream) {
    let (accepted, opened) = tokio::join!(biased; listener.accept(), connect(client, to));
    (accepted.unwrap(), opened.unwrap())
}

async fn passes_bytes(a: &mut Stream, b: &mut Stream) {
    a.write_all(b"there").await.unwrap();
    b.write_all(b"and back").await.unwrap();
    let (mut there, mut back) = ([0; 5], [0; 8]);
    b.read_exact(&mut there).await.unwrap();
    a.read_exact(&mut back).await.unwrap();
    assert_eq!((&there, &back), (b"there", b"and back"));
}

#[test]
fn an_inbound_connection_reaches_the_sidecar_with_its_peer_and_original_destination() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        tank.set_capture(pods[1], Some(Capture::default()));
        let client = tank.app_platform(pods[0]);
        let sidecar = listen(&tank.sidecar_platform(pods[1]), "0.0.0.0:15006").await;
        let _app = listen(&tank.app_platform(pods[1]), "0.0.0.0:8080").await;
        let (mut accepted, mut opened) = pair(&sidecar, &client, at(&tank, pods[1], 8080)).await;
        assert_eq!(accepted.original_dst(), Some(OriginalDst(at(&tank, pods[1], 8080))));
        assert_eq!(accepted.peer_addr(), opened.local_addr());
        assert_eq!(accepted.peer_addr().ip(), tank.pod_ip(pods[0]));
        assert_eq!(accepted.local_addr(), at(&tank, pods[1], 15006));
        assert_eq!(opened.peer_addr(), at(&tank, pods[1], 8080));
        passes_bytes(&mut opened, &mut accepted).await;
    });
}

#[test]
fn excluded_inbound_ports_and_an_uncaptured_pod_are_reached_directly() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        let capture = Capture { exclude_inbound_ports: vec![9080], ..Capture::default() };
        tank.set_capture(pods[1], Some(capture));
        let client = tank.app_platform(pods[0]);
        let app = listen(&tank.app_platform(pods[1]), "0.0.0.0:9080").await;
        let other = listen(&tank.app_platform(pods[1]), "0.0.0.0:8080").await;
        let (accepted, _) = pair(&app, &client, at(&tank, pods[1], 9080)).await;
        assert_eq!((accepted.original_dst(), accepted.local_addr()), (None, at(&tank, pods[1], 9080)));
        let error = connect(&client, at(&tank, pods[1], 8080)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "captured, and no sidecar listens");
        tank.set_capture(pods[1], None);
        let (accepted, _) = pair(&other, &client, at(&tank, pods[1], 8080)).await;
        assert_eq!(accepted.original_dst(), None);
    });
}

#[test]
fn an_outbound_connection_reaches_the_sidecar_with_what_the_app_dialled() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        tank.set_capture(pods[0], Some(Capture::default()));
        let vip: SocketAddr = "10.96.0.1:80".parse().unwrap();
        tank.set_service(ServiceAddr { ip: vip.ip(), port: 80 }, vec![at(&tank, pods[1], 8080)]);
        let (app, sidecar) = (tank.app_platform(pods[0]), tank.sidecar_platform(pods[0]));
        let outbound = listen(&sidecar, "0.0.0.0:15001").await;
        for dialled in [vip, at(&tank, pods[1], 8080), "10.7.7.7:443".parse().unwrap()] {
            let (mut accepted, mut opened) = pair(&outbound, &app, dialled).await;
            assert_eq!(accepted.original_dst(), Some(OriginalDst(dialled)));
            assert_eq!((opened.peer_addr(), opened.local_addr().ip()), (dialled, tank.pod_ip(pods[0])));
            assert_eq!(accepted.peer_addr(), opened.local_addr());
            assert_eq!(accepted.local_addr().port(), 15001);
            passes_bytes(&mut opened, &mut accepted).await;
        }
        assert_eq!(tank.now().since_start().as_nanos(), 0, "app and sidecar are no distance apart");
    });
}

#[test]
fn two_hundred_captured_connections_at_once_keep_their_destinations() {
    let (tank, pods) = world(1);
    tank.run(|tank| async move {
        tank.set_capture(pods[0], Some(Capture::default()));
        let (app, sidecar) = (tank.app_platform(pods[0]), tank.sidecar_platform(pods[0]));
        let outbound = listen(&sidecar, "0.0.0.0:15001").await;
        for n in 0..200 {
            let app = app.clone();
            app.clone().spawn.go(async move {
                let mut stream = connect(&app, SocketAddr::from(([10, 96, 0, n], 80))).await.unwrap();
                stream.write_all(&[n]).await.unwrap();
                let _ = stream.read(&mut [0]).await;
            });
        }
        for _ in 0..200 {
            let mut stream = outbound.accept().await.unwrap();
            let n = stream.read_u8().await.unwrap();
            assert_eq!(stream.original_dst(), Some(OriginalDst(SocketAddr::from(([10, 96, 0, n], 80)))));
        }
    });
}

#[test]
fn the_apps_loopback_and_own_address_are_not_captured() {
    let (tank, pods) = world(1);
    tank.run(|tank| async move {
        tank.set_capture(pods[0], Some(Capture::default()));
        let app = tank.app_platform(pods[0]);
        let listener = listen(&app, "0.0.0.0:8080").await;
        for (to, from) in [
            ("127.0.0.1:8080".parse().unwrap(), IpAddr::from([127, 0, 0, 1])),
            (at(&tank, pods[0], 8080), tank.pod_ip(pods[0])),
        ] {
            let (accepted, opened) = pair(&listener, &app, to).await;
            assert_eq!((accepted.original_dst(), accepted.peer_addr().ip()), (None, from));
            assert_eq!((accepted.local_addr(), opened.peer_addr()), (to, to));
        }
    });
}

#[test]
fn the_sidecars_own_connections_go_out_and_those_to_its_pod_come_back_in() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        tank.set_capture(pods[0], Some(Capture::default()));
        let sidecar = tank.sidecar_platform(pods[0]);
        let app = listen(&tank.app_platform(pods[0]), "0.0.0.0:8080").await;
        let inbound = listen(&sidecar, "0.0.0.0:15006").await;
        let own = at(&tank, pods[0], 8080);
        let (accepted, _) = pair(&inbound, &sidecar, own).await;
        assert_eq!(accepted.original_dst(), Some(OriginalDst(own)));
        let mark: IpAddr = [127, 0, 0, 6].into();
        let options = ConnectOptions { source: Some(mark) };
        let (accepted, opened) = tokio::join!(biased; app.accept(), sidecar.net.connect(own, options.clone()));
        let (accepted, opened) = (accepted.unwrap(), opened.unwrap());
        assert_eq!((accepted.peer_addr().ip(), accepted.original_dst()), (mark, None));
        assert_eq!(opened.local_addr().ip(), mark);
        let error = sidecar.net.connect(at(&tank, pods[1], 1), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "127.0.0.6 leads nowhere outside the pod");
        let there = listen(&tank.app_platform(pods[1]), "0.0.0.0:80").await;
        let (accepted, _) = pair(&there, &sidecar, at(&tank, pods[1], 80)).await;
        assert_eq!(accepted.peer_addr().ip(), tank.pod_ip(pods[0]));
    });
}

#[test]
fn captured_connections_close_on_both_sides_and_are_forgotten() {
    let (tank, pods) = world(2);
    tank.run(|tank| async move {
        tank.set_capture(pods[1], Some(Capture::default()));
        let sidecar = listen(&tank.sidecar_platform(pods[1]), "0.0.0.0:15006").await;
        for _ in 0..20 {
            let (mut accepted, mut opened) = pair(&sidecar, &tank.app_platform(pods[0]), at(&tank, pods[1], 80)).await;
            opened.shutdown().await.unwrap();
            assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
            drop(accepted);
            assert_eq!(opened.read(&mut [0]).await.unwrap(), 0);
        }
        tank.sleep(std::time::Duration::from_millis(10)).await;
        assert_eq!((tank.stats().connections, tank.stats().sockets), (0, 1));
    });
}

#[test]
fn known_difference_within_a_pod_half_read_bytes_end_the_stream_without_a_reset() {
    // Traffic inside a pod never leaves its kernel, which believes that all bytes were read.
    let (tank, pods) = world(1);
    tank.run(|tank| async move {
        let app = tank.app_platform(pods[0]);
        let listener = listen(&app, "127.0.0.1:80").await;
        let (mut accepted, mut opened) = pair(&listener, &app, "127.0.0.1:80".parse().unwrap()).await;
        opened.write_all(b"half read").await.unwrap();
        accepted.read_exact(&mut [0; 4]).await.unwrap();
        drop(accepted);
        assert_eq!(opened.read(&mut [0]).await.unwrap(), 0);
        let (mut accepted, mut opened) = pair(&listener, &app, "127.0.0.1:80".parse().unwrap()).await;
        opened.write_all(b"unread").await.unwrap();
        tank.sleep(std::time::Duration::from_millis(1)).await;
        accepted.flush().await.unwrap();
        drop(accepted);
        assert_eq!(opened.read(&mut [0]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}
