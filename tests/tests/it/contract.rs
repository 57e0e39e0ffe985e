//! The contract of the ports, one test a check, on each engine that runs without a network.

macro_rules! on_the_inline_engine {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        mod in_memory {
            $(mod $module {
                use envoi_tests::contract::{embedded::EmbeddedEngine, $module};

                $(#[tokio::test]
                async fn $check() {
                    $module::$check(&EmbeddedEngine::in_memory()).await;
                })*
            })*
        }
    };
}

macro_rules! on_the_file_engine {
    ($($module:ident: [$($check:ident),* $(,)?]),* $(,)?) => {
        mod in_a_folder {
            $(mod $module {
                use envoi_tests::contract::{embedded::EmbeddedEngine, $module};

                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    $module::$check(&EmbeddedEngine::in_a_folder()).await;
                })*
            })*
        }
    };
}

envoi_tests::for_each_check!(on_the_inline_engine);
envoi_tests::for_each_check!(on_the_file_engine);
